"""A queue that takes from each call in turn, so that a large call keeps no small one waiting."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from degre_pipeline.serving.web.measures import Measures
from degre_pipeline.serving.web.threads import Repeating

T = TypeVar("T")


class FairQueue(Generic[T]):
    """Waiting items of several calls."""

    def __init__(self) -> None:
        self._calls: dict[object, deque[T]] = {}
        self._changed = threading.Condition()
        self._closed = False

    def put(self, call: object, items: Sequence[T]) -> None:
        """Adds items of a call behind its earlier ones."""
        if items:
            with self._changed:
                self._calls.setdefault(call, deque()).extend(items)
                self._changed.notify()

    def close(self) -> None:
        """Lets `take` return nothing once nothing waits."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def clear(self) -> list[T]:
        """Takes everything that waits."""
        with self._changed:
            left = [item for items in self._calls.values() for item in items]
            self._calls.clear()
        return left

    def take(self, fits: Callable[[Sequence[T], T], bool]) -> list[T]:
        """Waits for items and returns the first of each call in turn, as long as the next one fits.

        Returns: One item or more; none after `close`.
        """
        taken: list[T] = []
        with self._changed:
            while not self._calls and not self._closed:
                self._changed.wait()
            while self._calls:
                call, items = next(iter(self._calls.items()))
                if taken and not fits(taken, items[0]):
                    break
                taken.append(items.popleft())
                del self._calls[call]
                if items:
                    self._calls[call] = items  # behind the others
        return taken


class FaultyThreadError(RuntimeError):
    """The thread that should compute something has ended, or fails."""


@dataclass(frozen=True)
class Task:
    """A function that a call waits for."""

    function: Callable[[], Any]
    answer: "asyncio.Future[Any]"
    loop: asyncio.AbstractEventLoop


class FairThread:
    """One thread that computes for several calls, each call in turn.

    Args:
        name: Of the thread.
        measures: Where failures of the thread are counted.
    """

    def __init__(self, name: str, measures: Measures) -> None:
        self._waiting: FairQueue[Task] = FairQueue()
        self.thread = Repeating(name, self._step, measures, self._refuse_waiting)

    def start(self) -> None:
        """Begins to compute."""
        self.thread.start()

    def stop(self) -> None:
        """Stops once nothing waits."""
        self._waiting.close()

    @property
    def threads(self) -> Sequence[Repeating]:
        """The thread that must go on."""
        return [self.thread]

    async def run(self, call: object, function: Callable[[], T]) -> T:
        """Returns what a function returns, or raises what it raises; it is called if somebody still waits.

        Raises: FaultyThreadError: If the thread has ended, or fails before it comes to the function.
        """
        loop = asyncio.get_running_loop()
        task = Task(function, loop.create_future(), loop)
        self._waiting.put(call, [task])
        if self.thread.has_ended:
            self._refuse_waiting()
        found: T = await task.answer
        return found

    def _step(self) -> bool:
        tasks = self._waiting.take(lambda taken, task: False)
        for task in tasks:
            if task.answer.cancelled():
                continue
            try:
                found = task.function()
            except BaseException as error:  # whoever waits must get it
                task.loop.call_soon_threadsafe(fail, task.answer, error)
            else:
                task.loop.call_soon_threadsafe(resolve, task.answer, found)
        return bool(tasks)

    def _refuse_waiting(self) -> None:
        """Fails every waiting task."""
        for task in self._waiting.clear():
            error = FaultyThreadError(f"thread {self.thread.name!r} has ended or fails")
            task.loop.call_soon_threadsafe(fail, task.answer, error)


def resolve(future: "asyncio.Future[Any]", found: Any) -> None:
    """Gives a future its result, unless nobody waits any more."""
    if not future.done():
        future.set_result(found)


def fail(future: "asyncio.Future[Any]", error: BaseException) -> None:
    """Gives a future its error, unless nobody waits any more; what is no Exception would end the process."""
    if not future.done():
        future.set_exception(error if isinstance(error, Exception) else RuntimeError(repr(error)))
