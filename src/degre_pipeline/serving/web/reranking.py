"""Answers requests: by the model in time, else by the ranking score or in the incoming order."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from degre_pipeline.serving.model.request_schema import Request
from degre_pipeline.serving.model.reranking_model import RankedList
from degre_pipeline.serving.web.checking import Checked, Checker, unchecked
from degre_pipeline.serving.web.drift import ScoreDrift
from degre_pipeline.serving.web.fair_queue import FairThread
from degre_pipeline.serving.web.fallback import fallback_list
from degre_pipeline.serving.web.follower import Follower
from degre_pipeline.serving.web.loading import LoadedModel
from degre_pipeline.serving.web.measures import Measures
from degre_pipeline.serving.web.micro_batches import Batcher
from degre_pipeline.serving.web.observing import only_observing
from degre_pipeline.serving.web.prediction_log import PredictionLog
from degre_pipeline.serving.web.reading import Piece, Reader
from degre_pipeline.serving.web.shadow import Shadow
from degre_pipeline.serving.web.wire_schema import FallbackReason, Refused

logger = logging.getLogger(__name__)

SMALL_BYTES = 16_384
"""A body up to this size is read in the service itself, which takes a millisecond or two.

The requests of larger ones are read by a process and decoded by a thread, both of low priority.
"""


@dataclass(frozen=True)
class Outcome:
    """What became of one request.

    Attributes:
        ranked: Its list; empty if it was refused.
        fallback: Why the list is not the model's.
        error: Why it was refused.
    """

    ranked: RankedList
    fallback: FallbackReason | None = None
    error: str | None = None


@dataclass(frozen=True)
class Answered:
    """What became of the requests of a call, in their order, and the version that answered."""

    version: str | None
    outcomes: Sequence[Outcome]


class Reranking:
    """Checks requests, ranks them and notes the answers.

    Args:
        champion: Holds the model.
        checker: Reads and checks bodies.
        measures: Where everything is counted.
        deadline_ms: After this time a fallback is the answer.
        first_list_length: Items of a fallback before a model is loaded; None for all candidates.
        log: The prediction log, if there is one.
        shadow: The shadow, if there is one.
    """

    def __init__(
        self,
        champion: Follower,
        checker: Checker,
        measures: Measures,
        *,
        deadline_ms: float,
        first_list_length: int | None,
        log: PredictionLog | None,
        shadow: Shadow | None,
    ) -> None:
        self._champion, self._checker, self._measures = champion, checker, measures
        self._deadline, self._first_list_length = deadline_ms / 1000, first_list_length
        self._log, self._shadow = log, shadow
        self._drift: tuple[str, ScoreDrift] | None = None
        self.checks, self.reader = FairThread("check", measures), Reader(measures)
        self.batcher = Batcher(measures, self._observe)
        self.large_batcher = Batcher(measures, self._observe, "decode-large", may_wait=True)

    @property
    def parts(self) -> "list[FairThread | Reader | Batcher]":
        """The parts that have threads of their own."""
        return [self.checks, self.reader, self.batcher, self.large_batcher]

    async def answer(self, body: bytes, started: float) -> Answered:
        """Returns what became of the requests of a body; waiting counts towards the deadline.

        Args:
            body: As it came.
            started: When it was there, in monotonic seconds.
        Raises: ValueError: If the body is not of the form of `schema`, or if none of its requests is allowed.
        """
        call, model, expires = object(), self._champion.model, started + self._deadline
        if len(body) <= SMALL_BYTES:
            checked = await self.checks.run(call, partial(self._checker.read, body, model))
            outcomes = await self._outcomes(call, model, checked, expires, self.batcher)
        else:
            outcomes = await self._piece_by_piece(call, model, body, expires)
        refused = [outcome.error for outcome in outcomes if outcome.error is not None]
        if len(refused) == len(outcomes):
            raise ValueError(refused[0])
        version = None if model is None else model.version
        with only_observing(self._measures, f"an answer of version {version}"):
            self._count(version, outcomes)
        return Answered(version, outcomes)

    async def _piece_by_piece(
        self, call: object, model: LoadedModel | None, body: bytes, expires: float
    ) -> list[Outcome]:
        """Returns what became of the requests of a large body; each piece goes on as soon as it is read."""
        arrived: asyncio.Queue[Piece | None] = asyncio.Queue()
        rules = self._checker.rules(model)
        reading = asyncio.ensure_future(self.reader.read(call, body, rules, expires, arrived))
        pieces = []
        while (piece := await arrived.get()) is not None:
            pieces.append(asyncio.ensure_future(self._outcomes_of(piece, call, model, expires)))
        await reading
        return [outcome for outcomes in await asyncio.gather(*pieces) for outcome in outcomes]

    async def _outcomes_of(
        self, piece: Piece, call: object, model: LoadedModel | None, expires: float
    ) -> list[Outcome]:
        """Returns the outcomes of a piece; what waits too long to be finished is answered unchecked."""
        checked = unchecked(piece.requests)
        if piece.is_checked:
            finish = self.checks.run(call, partial(self._checker.finish, piece.requests, model))
            with contextlib.suppress(TimeoutError):
                checked = await asyncio.wait_for(finish, expires - time.monotonic())
        return await self._outcomes(call, model, checked, expires, self.large_batcher)

    async def _outcomes(
        self,
        call: object,
        model: LoadedModel | None,
        checked: Sequence[Checked],
        expires: float,
        batcher: Batcher,
    ) -> list[Outcome]:
        if model is None:
            return [_without_the_model(one, self._first_list_length, "no_model") for one in checked]
        length = model.example.list_length
        scored = {place: one.scored for place, one in enumerate(checked) if one.scored is not None}
        futures = batcher.rank(call, model, scored.values(), expires)
        if futures:
            await asyncio.wait(futures, timeout=max(0.0, expires - time.monotonic()))
        lists = dict(zip(scored, futures, strict=True))
        return [self._outcome(one, lists.get(place), length, model) for place, one in enumerate(checked)]

    def _outcome(
        self,
        checked: Checked,
        future: "asyncio.Future[RankedList] | None",
        length: int | None,
        model: LoadedModel,
    ) -> Outcome:
        if future is None or not future.done():
            if future is not None:
                future.cancel()
            return _without_the_model(checked, length, "deadline")
        error = future.exception()
        if error is None:
            if self._shadow is not None and isinstance(checked.request, Request):
                with only_observing(self._measures, "an answer for the shadow"):
                    self._shadow.sample([checked.request], [future.result()])
            return Outcome(future.result())
        logger.error("version %s failed; a fallback is the answer", model.version, exc_info=error)
        return _without_the_model(checked, length, "error")

    def _count(self, version: str | None, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            if outcome.error is not None:
                self._measures.refused_requests.inc()
                continue
            if outcome.fallback is not None:
                self._measures.fallbacks.labels(outcome.fallback).inc()
            if self._log is not None:
                self._log.add([outcome.ranked], version=version, fallback=outcome.fallback)

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


def _without_the_model(checked: Checked, length: int | None, reason: FallbackReason) -> Outcome:
    """Returns the fallback of a request, or the error of one that was refused."""
    if isinstance(checked.request, Refused):
        return Outcome(RankedList(checked.request.request_id, (), (), ()), error=checked.request.error)
    return Outcome(fallback_list(checked.request, checked.scored, length), reason)
