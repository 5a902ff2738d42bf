"""Decodes what waits together, in one thread beside the one that talks to clients."""

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from degre_pipeline.service.loading import LoadedModel
from degre_pipeline.service.measures import Measures
from degre_pipeline.serving.request_schema import Request
from degre_pipeline.serving.reranking_model import RankedList

MOST_TOGETHER = 32
"""Requests decoded together; more would keep the first ones waiting."""
Observer = Callable[[LoadedModel, Sequence[Request], Sequence[RankedList]], None]


@dataclass(frozen=True)
class Job:
    """Requests of one call, checked for one model, and who waits for them until when (monotonic seconds)."""

    model: LoadedModel
    requests: Sequence[Request]
    expires: float
    answer: "asyncio.Future[Sequence[RankedList]]"
    loop: asyncio.AbstractEventLoop


class Batcher:
    """Answers jobs with the model that each was checked for.

    Args:
        measures: Where batch sizes are noted.
        observe: Called with every decoded batch, in the decoding thread.
    """

    def __init__(self, measures: Measures, observe: Observer) -> None:
        self._waiting: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._measures, self._observe = measures, observe
        self._thread = threading.Thread(target=self._work, name="decode", daemon=True)

    def start(self) -> None:
        """Begins to decode."""
        self._thread.start()

    def stop(self) -> None:
        """Stops after what is being decoded."""
        self._waiting.put(None)

    async def rank(
        self, model: LoadedModel, requests: Sequence[Request], expires: float
    ) -> Sequence[RankedList]:
        """Returns the lists of checked requests.

        Raises:
            TimeoutError: If they are not there in time.
            Exception: What the model raised.
        """
        loop = asyncio.get_running_loop()
        job = Job(model, requests, expires, loop.create_future(), loop)
        self._waiting.put(job)
        return await asyncio.wait_for(job.answer, expires - time.monotonic())

    def _work(self) -> None:
        while (first := self._waiting.get()) is not None:
            jobs = [first, *self._others(len(first.requests))]
            in_time = [job for job in jobs if job.expires > time.monotonic()]
            for _, group in groupby(in_time, lambda job: id(job.model)):
                self._answer(list(group))

    def _others(self, taken: int) -> Iterator[Job]:
        """Yields what waits besides, as long as it fits."""
        while taken < MOST_TOGETHER:
            try:
                job = self._waiting.get_nowait()
            except queue.Empty:
                return
            if job is None:
                self._waiting.put(None)
                return
            taken += len(job.requests)
            yield job

    def _answer(self, jobs: Sequence[Job]) -> None:
        """Answers jobs of one model; if they fail together, each for itself."""
        model = jobs[0].model
        requests = [request for job in jobs for request in job.requests]
        try:
            ranked = model.reranker.rank_checked(requests)
        except Exception as error:
            if len(jobs) > 1:
                for job in jobs:
                    self._answer([job])
                return
            jobs[0].loop.call_soon_threadsafe(_fail, jobs[0].answer, error)
            return
        self._measures.batches.observe(len(requests))
        lists = iter(ranked)
        answers = [(job.answer, [next(lists) for _ in job.requests]) for job in jobs]
        jobs[0].loop.call_soon_threadsafe(_resolve, answers)
        self._observe(model, requests, ranked)


def _resolve(answers: Iterable[tuple["asyncio.Future[Sequence[RankedList]]", Sequence[RankedList]]]) -> None:
    for future, lists in answers:
        if not future.done():
            future.set_result(lists)


def _fail(future: "asyncio.Future[Sequence[RankedList]]", error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
