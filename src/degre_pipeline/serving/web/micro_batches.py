"""Decodes waiting requests together, in a thread beside the one that talks to clients."""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from degre_pipeline.serving.model.request_schema import Request
from degre_pipeline.serving.model.reranking_model import RankedList
from degre_pipeline.serving.web.fair_queue import FairQueue, fail, resolve
from degre_pipeline.serving.web.loading import LoadedModel
from degre_pipeline.serving.web.measures import Measures
from degre_pipeline.serving.web.observing import only_observing
from degre_pipeline.serving.web.threads import Repeating

MOST_TOGETHER, MOST_CANDIDATES_TOGETHER = 32, 128
"""Requests and, padded to the longest, candidates decoded together; more would keep those behind waiting."""
Observer = Callable[[LoadedModel, Sequence[Request], Sequence[RankedList]], None]


@dataclass(frozen=True)
class Job:
    """A request, checked for one model, and who waits for its list until when (monotonic seconds)."""

    model: LoadedModel
    request: Request
    expires: float
    answer: "asyncio.Future[RankedList]"
    loop: asyncio.AbstractEventLoop

    @property
    def is_wanted(self) -> bool:
        """Whether somebody still waits."""
        return not self.answer.cancelled() and self.expires > time.monotonic()


class Batcher:
    """Answers jobs with the model that each was checked for, those of each call in turn.

    Args:
        measures: Where batch sizes are noted.
        observe: Called with every decoded batch, in the decoding thread; what it raises is logged.
        name: Of the thread.
        may_wait: Whether the thread has a low priority.
    """

    def __init__(
        self, measures: Measures, observe: Observer, name: str = "decode", *, may_wait: bool = False
    ) -> None:
        self._waiting: FairQueue[Job] = FairQueue()
        self._measures, self._observe = measures, observe
        self._thread = Repeating(name, self._step, measures, may_wait=may_wait)

    def start(self) -> None:
        """Begins to decode."""
        self._thread.start()

    def stop(self) -> None:
        """Stops once nothing waits."""
        self._waiting.close()

    @property
    def threads(self) -> Sequence[Repeating]:
        """The thread that must go on."""
        return [self._thread]

    def rank(
        self, call: object, model: LoadedModel, requests: Iterable[Request], expires: float
    ) -> "list[asyncio.Future[RankedList]]":
        """Returns, for every checked request of a call, its list to come, or what the model raised."""
        loop = asyncio.get_running_loop()
        jobs = [Job(model, request, expires, loop.create_future(), loop) for request in requests]
        self._waiting.put(call, jobs)
        return [job.answer for job in jobs]

    def _step(self) -> bool:
        jobs = self._waiting.take(_fits)
        wanted = [job for job in jobs if job.is_wanted]
        for _, group in groupby(wanted, lambda job: id(job.model)):
            self._answer(list(group))
        return bool(jobs)

    def _answer(self, jobs: Sequence[Job]) -> None:
        """Answers jobs of one model; if they fail together, each for itself."""
        model, requests = jobs[0].model, [job.request for job in jobs]
        try:
            ranked = model.reranker.rank_checked(requests)
        except BaseException as error:  # whoever waits must get it
            if len(jobs) > 1:
                for job in jobs:
                    self._answer([job])
            else:
                jobs[0].loop.call_soon_threadsafe(fail, jobs[0].answer, error)
            return
        jobs[0].loop.call_soon_threadsafe(_resolve, [job.answer for job in jobs], ranked)
        self._note(model, requests, ranked)

    def _note(self, model: LoadedModel, requests: Sequence[Request], ranked: Sequence[RankedList]) -> None:
        """Lets the batch be observed; the answers have gone."""
        with only_observing(self._measures, f"a batch of version {model.version}"):
            self._measures.batches.observe(len(requests))
            self._observe(model, requests, ranked)


def _fits(taken: Sequence[Job], job: Job) -> bool:
    longest = max(len(one.request.candidates) for one in [*taken, job])
    return len(taken) < MOST_TOGETHER and (len(taken) + 1) * longest <= MOST_CANDIDATES_TOGETHER


def _resolve(futures: "Sequence[asyncio.Future[RankedList]]", ranked: Sequence[RankedList]) -> None:
    for future, found in zip(futures, ranked, strict=True):
        resolve(future, found)
