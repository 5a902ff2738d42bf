"""Threads of the service that no fault of a single step can end, and that tell when they work no more."""

import logging
import os
import sys
import threading
import time
from collections.abc import Callable

from degre_pipeline.serving.web.measures import Measures

logger = logging.getLogger(__name__)

PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.05, 1.0
"""After a step that failed, longer each time, so that one that always fails leaves the others some time."""
FAILURES_TOLD = 4
"""After so many failed steps in a row the thread is called a failing one,"""
TOLD_SECONDS = 10.0
"""for so long after the last one: a thread that waits for work again may have recovered."""
LOW_PRIORITY = 10
"""The niceness of threads that may wait (Linux; elsewhere a thread has no priority of its own)."""


class Repeating:
    """A thread that repeats a step; one that fails is logged and counted, and the next one follows.

    Args:
        name: Of the thread.
        step: Returns whether to go on.
        measures: Where failures are counted.
        at_fault: Called in the thread when a step has failed, and when none will follow any more.
        may_wait: Whether other threads and processes get the processor first.
    """

    def __init__(
        self,
        name: str,
        step: Callable[[], bool],
        measures: Measures,
        at_fault: Callable[[], None] = lambda: None,
        *,
        may_wait: bool = False,
    ) -> None:
        self.name, self._step, self._measures, self._at_fault = name, step, measures, at_fault
        self._may_wait = may_wait
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._started, self._over = False, False
        self._failures, self._failed_at = 0, 0.0

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
        """Whether no step will follow any more, although it was started."""
        return self._over or (self._started and not self._thread.is_alive())

    @property
    def fails(self) -> bool:
        """Whether its last steps have all failed, not long ago."""
        return self._failures >= FAILURES_TOLD and time.monotonic() - self._failed_at < TOLD_SECONDS

    def _run(self) -> None:
        try:
            if self._may_wait and sys.platform == "linux":
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOW_PRIORITY)
            while self._goes_on():
                pass
        except BaseException:
            logger.critical("thread %s has ended; the service needs a restart", self.name, exc_info=True)
        finally:
            self._over = True
            self._at_fault()

    def _goes_on(self) -> bool:
        try:
            goes_on = self._step()
        except BaseException:  # a library's panic is no Exception
            self._failures, self._failed_at = self._failures + 1, time.monotonic()
            self._measures.failed_steps.labels(self.name).inc()
            logger.exception("a step of thread %s failed; the next one follows", self.name)
            self._at_fault()
            time.sleep(min(PAUSE_SECONDS * 2 ** min(self._failures - 1, 10), LONGEST_PAUSE_SECONDS))
            return True
        self._failures = 0
        return goes_on
