"""A version in MLflow's model registry, found again by its tags."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mlflow
import pandas as pd
import torch
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.models.model import ModelInfo

from degre_pipeline.judging import names
from degre_pipeline.release.aliases import CHALLENGER, move, notice
from degre_pipeline.release.filters import quoted
from degre_pipeline.release.ledger import user
from degre_pipeline.release.loaded_version import open_contender
from degre_pipeline.release.trained_models import TrainedModels
from degre_pipeline.release.turns import in_turn
from degre_pipeline.release.warm_start import MODELS, StartingPoint, keep_for_later
from degre_pipeline.reranker.fingerprints import fingerprint
from degre_pipeline.reranker.models.stored_models import TrainedWeights
from degre_pipeline.reranker.requests import Requests
from degre_pipeline.serving.model.example_requests import COMPARED, example_requests, lists_to_compare
from degre_pipeline.serving.model.packaging import TrainedRanking, log_reranker
from degre_pipeline.serving.model.parity import check_parity, differing_shapes
from degre_pipeline.serving.model.request_schema import Request
from degre_pipeline.serving.model.signature import candidate_lists
from degre_pipeline.sources.feature_tables import FeatureTables

RUN_TAGS = ("git_commit", "git_dirty", "data_sha256")
"""Tags of the run that are repeated on the version, when the run has them."""
MAIN_METRICS = (
    names.UTILITY,
    names.UTILITY_OVER_RANKING_ORDER,
    names.REGRET,
    names.HR1,
    names.HR1_BELOW_BEAM,
)


@contextmanager
def active_or_new_run() -> Iterator[Run]:
    """Yields the run that is open, and leaves it open; without one, a run of its own."""
    active = mlflow.active_run()
    if active is not None:
        yield mlflow.get_run(active.info.run_id)
        return
    with mlflow.start_run() as started:
        yield started


def log_and_register(
    models: TrainedModels,
    *,
    encoded: Requests,
    lists: pd.DataFrame,
    tables: FeatureTables,
    name: str,
    tags: dict[str, str],
) -> dict[str, Any]:
    """Logs the served model, checks it against the generator and registers it."""
    generator, space = models.generator, models.feature_space
    chosen = lists_to_compare(lists, COMPARED)
    examples = example_requests(chosen, tables, space)
    with active_or_new_run() as run:
        described = {"run_date": tags["run_date"], **provenance(run)}
        logged = log_reranker(
            generator, space, examples, name=name, metadata=described, ranking=_own_score(models)
        )
        ids = torch.tensor(chosen["request_id"].to_numpy())
        compared = encoded.with_ids(ids)
        # Loaded back as any user of MLflow would.
        served = candidate_lists(mlflow.pyfunc.load_model(logged.model_uri), examples)
        check_parity(served, compared, generator)
        check_program(logged, examples, compared, generator)
        return register_once(logged, name=name, tags={**tags, **described})


def _own_score(models: TrainedModels) -> TrainedRanking | None:
    """Returns what scores candidates where the log has no ranking score."""
    ranking = TrainedRanking(models.ranking_model, models.ranking_feature_space)
    return ranking if ranking.space.fields else None


def provenance(run: Run) -> dict[str, str]:
    """Returns the run's tags about code and data that are known so far."""
    return {name: run.data.tags[name] for name in RUN_TAGS if name in run.data.tags}


def metric_tags(metrics: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Returns the generator's main figures as tags `judge.metric`; an unknown figure has none."""
    return {
        f"{row['judge']}.{row['metric']}": str(row["value"])
        for row in metrics
        if row["subject"] == names.GENERATOR and row["metric"] in MAIN_METRICS and row["value"] is not None
    }


def identity_of(generator: TrainedWeights, run_date: str) -> str:
    """Returns the hash that two registrations of the same model on the same day have in common.

    The weights stand for configuration, data and code: a change of any of these gives other weights.
    """
    described = f"{run_date} {fingerprint(generator.weights)} {json.dumps(generator.config, sort_keys=True)}"
    return hashlib.sha256(described.encode()).hexdigest()


def registered_before(name: str, identity: str) -> dict[str, Any] | None:
    """Returns the version with an identity, described as by `register_once`; None where there is none.

    Runs at the same time may have made several; the first one counts.
    """
    client = mlflow.MlflowClient()
    wanted = f"name = {quoted(name)} and tags.identity = {quoted(identity)}"
    found = client.search_model_versions(wanted)
    return _described(min(found, key=lambda version: int(version.version))) if found else None


def register_once(logged: ModelInfo, *, name: str, tags: Mapping[str, str]) -> dict[str, Any]:
    """Makes a logged model the next version of a registered model, unless another run has just done so.

    Runs of one machine take turns. On several machines both may register: each looks again, and takes the
    first one's version instead of its own, which it deletes.

    Args:
        logged: The model.
        name: Of the registered model.
        tags: Of the version, `identity` among them.
    Returns: name, version, uri (of this version) and run_id.
    """
    client = mlflow.MlflowClient()
    with in_turn(client):
        before = registered_before(name, tags["identity"])
        if before is not None:
            return before
        registered = _described(mlflow.register_model(logged.model_uri, name, tags=dict(tags)))
        first = registered_before(name, tags["identity"]) or registered
        if first["version"] != registered["version"]:
            client.delete_model_version(name, str(registered["version"]))
        return first


def check_program(
    logged: ModelInfo, examples: Sequence[Request], encoded: Requests, generator: TrainedWeights
) -> None:
    """Raises ValueError if the stored program, loaded as a service does, ranks otherwise than the generator.

    Args:
        logged: The model.
        examples: Requests as a client sends them.
        encoded: The same as training encoded them.
        generator: The trained generator.
    """
    with TemporaryDirectory() as folder:
        contender = open_contender(mlflow.MlflowClient().get_logged_model(logged.model_id), Path(folder))
        check_parity(contender.ranked(examples), encoded, generator)
        most = contender.served.example.most_candidates
        differing = differing_shapes(contender.runner, encoded, generator, most)
    if differing:
        raise ValueError(
            f"the stored program ranks otherwise than the generator for (requests, candidates) {differing}; "
            "allowed: the same lists for every shape"
        )


def keep_trained(run_id: str, models: TrainedModels) -> None:
    """Keeps the feature space and the models of a version with its run."""
    by_name = {name: getattr(models, name) for name in MODELS}
    keep_for_later(mlflow.MlflowClient(), run_id, StartingPoint(models.feature_space, by_name))


def make_challenger(name: str, version: int, last_day: str) -> None:
    """Moves the alias of the newest model to a version, after writing down what was moved elsewhere."""
    client = mlflow.MlflowClient()
    notice(client, name)
    move(
        client,
        name,
        CHALLENGER,
        version,
        by="registration",
        who=f"registration, run by {user()}",
        why=f"newest model, of a log up to {last_day}",
    )


def _described(version: ModelVersion) -> dict[str, Any]:
    return {
        "name": version.name,
        "version": int(version.version),
        "uri": f"models:/{version.name}/{version.version}",
        "run_id": version.run_id,
    }
