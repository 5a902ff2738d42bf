"""Answers requests: by the model in time, else in the incoming order."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from uuid import uuid4

from degre_pipeline.service.batching import Batcher
from degre_pipeline.service.drift import ScoreDrift
from degre_pipeline.service.follower import Follower
from degre_pipeline.service.loading import LoadedModel
from degre_pipeline.service.measures import Measures
from degre_pipeline.service.prediction_log import PredictionLog
from degre_pipeline.service.schema import FallbackReason, check_sizes
from degre_pipeline.service.shadow import Shadow
from degre_pipeline.serving.program import MOST_CANDIDATES
from degre_pipeline.serving.request_schema import ITEM_ID, Request
from degre_pipeline.serving.reranking_model import RankedList

logger = logging.getLogger(__name__)

Answered = tuple[str | None, Sequence[RankedList], FallbackReason | None]


class Reranking:
    """Checks, ranks and notes.

    Args:
        champion: Holds the model.
        measures: Where everything is counted.
        deadline_ms: After this time the incoming order is the answer.
        log: The prediction log, if there is one.
        shadow: The shadow, if there is one.
    """

    def __init__(
        self,
        champion: Follower,
        measures: Measures,
        *,
        deadline_ms: float,
        log: PredictionLog | None,
        shadow: Shadow | None,
    ) -> None:
        self._champion, self._measures, self._deadline = champion, measures, deadline_ms / 1000
        self._log, self._shadow = log, shadow
        self._drift: tuple[str, ScoreDrift] | None = None
        self.batcher = Batcher(measures, self._observe)

    async def answer(self, requests: Sequence[Request], started: float) -> Answered:
        """Returns the version, the lists and, if they are not the model's, why.

        Args:
            requests: Of the form of `schema`, not yet checked for the model.
            started: When the body was there, in monotonic seconds.
        Raises: ValueError: On the first bad request, naming what is allowed.
        """
        model = self._champion.model
        check_sizes(requests, model.example.most_candidates if model else MOST_CANDIDATES)
        if model is not None:
            for position, request in enumerate(requests):
                model.schema.check(request, position)
        named = [r if r.request_id is not None else replace(r, request_id=uuid4().hex) for r in requests]
        lists, reason = await self._lists(model, named, started + self._deadline)
        version = None if model is None else model.version
        if reason is not None:
            self._measures.fallbacks.labels(reason).inc(len(named))
        if self._log is not None:
            self._log.add(lists, version=version, fallback=reason)
        if self._shadow is not None and reason is None:
            self._shadow.sample(named, lists)
        return version, lists, reason

    async def _lists(
        self, model: LoadedModel | None, requests: Sequence[Request], expires: float
    ) -> tuple[Sequence[RankedList], FallbackReason | None]:
        if model is None:
            return [incoming_order(request, None) for request in requests], "no_model"
        reason: FallbackReason = "deadline"
        try:
            return await self.batcher.rank(model, requests, expires), None
        except TimeoutError:
            pass
        except Exception:
            logger.exception("version %s failed; the incoming order is the answer", model.version)
            reason = "error"
        return [incoming_order(request, model.example.list_length) for request in requests], reason

    def _observe(self, model: LoadedModel, requests: Sequence[Request], ranked: Sequence[RankedList]) -> None:
        if self._drift is None or self._drift[0] != model.version:
            self._drift = model.version, ScoreDrift(model.space)
        self._drift[1].add(requests)
        for one in ranked:
            self._measures.first_probability.observe(one.probabilities[0])

    def refresh_drift(self) -> None:
        """Brings the drift gauges up to date."""
        if self._drift is not None:
            for name, index in self._drift[1].indices().items():
                self._measures.score_drift.labels(name).set(index)


def incoming_order(request: Request, list_length: int | None) -> RankedList:
    """Returns the first candidates as they came, as many as a list holds; without probabilities."""
    indices = tuple(range(len(request.candidates)))[:list_length]
    item_ids = tuple(request.candidates[index][ITEM_ID] for index in indices)
    return RankedList(request.request_id, item_ids, indices, ())
