"""Waits for functions that may hang, for so long only."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any, TypeVar

T = TypeVar("T")


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
