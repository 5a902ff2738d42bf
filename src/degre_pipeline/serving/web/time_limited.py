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
        seconds: How long a call waits.
        most_hanging: So many functions may go on after that. Others are called only once one has ended.
    """

    def __init__(self, seconds: float, most_hanging: int = 4) -> None:
        self._seconds, self._most_hanging = seconds, most_hanging
        self._hanging: list[Future[Any]] = []

    def call(self, function: Callable[[], T]) -> T:
        """Returns what a function returns, or raises what it raises.

        Raises: TimeoutError: If it takes too long, or if too many earlier ones still do.
        """
        self._hanging = [one for one in self._hanging if not one.done()]
        if len(self._hanging) >= self._most_hanging:
            raise TimeoutError(
                f"{len(self._hanging)} earlier calls have no answer yet, each after more than "
                f"{self._seconds:g} seconds"
            )
        running: Future[T] = Future()
        threading.Thread(target=_fill, args=(running, function), daemon=True).start()
        try:
            return running.result(self._seconds)
        except FutureTimeoutError:
            if running.done():
                raise
            self._hanging.append(running)
            raise TimeoutError(f"no answer after {self._seconds:g} seconds") from None


def _fill(future: "Future[Any]", function: Callable[[], Any]) -> None:
    try:
        future.set_result(function())
    except BaseException as error:
        future.set_exception(error)
