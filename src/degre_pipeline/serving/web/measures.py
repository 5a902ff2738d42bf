"""The metrics that the service gives to Prometheus."""

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import generate_latest

if TYPE_CHECKING:  # the process that reads large bodies comes by here, and is to start without torch
    from degre_pipeline.serving.web.loading import LoadedModel

_SECONDS = (0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.25, 1.0)
_REQUESTS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_SHARES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)


class Measures:
    """The metrics of one service, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = all_ = CollectorRegistry()
        ProcessCollector(registry=all_)
        self.seconds = Histogram(
            "degre_rerank_seconds", "From the whole body read to the answer", buckets=_SECONDS, registry=all_
        )
        self.batches = Histogram(
            "degre_batch_requests", "Requests decoded together", buckets=_REQUESTS, registry=all_
        )
        self.answers = Counter("degre_answers", "Answers by HTTP status", ["status"], registry=all_)
        self.fallbacks = Counter(
            "degre_fallbacks", "Requests answered without the model", ["reason"], registry=all_
        )
        self.model_version = Gauge("degre_model_version", "Version that serves; 0 is none", registry=all_)
        self.model_info = Gauge(
            "degre_model_info", "The model that serves", ["version", "runner"], registry=all_
        )
        self.score_drift = Gauge(
            "degre_score_drift",
            "Population stability index of a score field against training; above 0.25 is a shift",
            ["field"],
            registry=all_,
        )
        self.first_probability = Histogram(
            "degre_first_probability", "Probability of a list's first item", buckets=_SHARES, registry=all_
        )
        self.load_failures = Counter("degre_model_load_failures", "Versions refused", registry=all_)
        self.registry_errors = Counter("degre_registry_errors", "Failed look-ups of an alias", registry=all_)
        self.shadow = Counter(
            "degre_shadow_lists", "Lists of the shadow against the answer", ["compared"], registry=all_
        )
        self.refused_requests = Counter(
            "degre_refused_requests", "Requests refused in a call whose others were answered", registry=all_
        )
        self.unknown_keys = Counter(
            "degre_unknown_keys", "Keys that are no field of the model, by part", ["part"], registry=all_
        )
        self.refused_connections = Counter(
            "degre_refused_connections",
            "Connections refused before a request: 408 slow or 431 large header, 503 too many connections",
            ["status"],
            registry=all_,
        )
        self.loop_lag = Gauge(
            "degre_loop_lag_seconds",
            "How late the thread that talks to clients was at most in the last ten seconds",
            registry=all_,
        )
        self.last_look = Gauge(
            "degre_last_look_timestamp_seconds", "When an alias was last looked up", ["alias"], registry=all_
        )
        self.failed_steps = Counter(
            "degre_failed_steps", "Steps of a thread that failed; it went on", ["thread"], registry=all_
        )
        self.dropped = Counter("degre_dropped", "What was dropped under load", ["what"], registry=all_)

    def serves(self, model: "LoadedModel") -> None:
        """Notes the model that serves now."""
        self.model_version.set(float(model.version))
        self.model_info.clear()
        self.model_info.labels(model.version, model.runner).set(1)

    def text(self) -> bytes:
        """Returns everything in Prometheus' text format."""
        return generate_latest(self.registry)
