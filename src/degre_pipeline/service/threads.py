"""Threads of the service that no fault of a single step can end."""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any, TypeVar

from degre_pipeline.service.measures import Measures

logger = logging.getLogger(__name__)

T = TypeVar("T")
PAUSE_SECONDS = 0.05
"""After a step that failed, so that one that always fails leaves the others some time."""


class Repeating:
    """A thread that repeats a step; one that fails is logged and counted, and the next one follows.

    Args:
        name: Of the thread.
        step: Returns whether to go on.
        measures: Where failures are counted.
    """

    def __init__(self, name: str, step: Callable[[], bool], measures: Measures) -> None:
        self.name, self._step, self._measures = name, step, measures
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._started = False

    def start(self) -> None:
        """Begins."""
        self._thread.start()
        self._started = True

    def join(self, seconds: float) -> None:
        """Waits for the end."""
        if self._started:
            self._thread.join(seconds)

    @property
    def has_ended(self) -> bool:
        """Whether it was started and runs no more."""
        return self._started and not self._thread.is_alive()

    def _run(self) -> None:
        while self._goes_on():
            pass

    def _goes_on(self) -> bool:
        try:
            return self._step()
        except Exception:
            self._measures.failed_steps.labels(self.name).inc()
            logger.exception("a step of thread %s failed; the next one follows", self.name)
            time.sleep(PAUSE_SECONDS)
            return True


class TimeLimited:
    """Calls functions that may hang, each in a thread of its own, and waits for so long only.

    Args:
        seconds: How long a call waits. Until a function that took longer has ended, no other is called.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._running: Future[Any] | None = None

    def call(self, function: Callable[[], T]) -> T:
        """Returns what a function returns, or raises what it raises.

        Raises: TimeoutError: If it takes too long.
        """
        if self._running is not None and not self._running.done():
            raise TimeoutError(
                f"an earlier call has no answer yet, after more than {self._seconds:g} seconds"
            )
        running = self._running = Future()
        threading.Thread(target=_fill, args=(running, function), daemon=True).start()
        try:
            found: T = running.result(self._seconds)
        except FutureTimeoutError:
            if running.done():
                raise
            raise TimeoutError(f"no answer after {self._seconds:g} seconds") from None
        return found


def _fill(future: "Future[Any]", function: Callable[[], Any]) -> None:
    try:
        future.set_result(function())
    except BaseException as error:
        future.set_exception(error)
