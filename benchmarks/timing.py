"""Times pieces of work in turn, so that what else the machine does falls on all of them alike."""

import multiprocessing
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

Work = Callable[[], Any]


@dataclass(frozen=True)
class Figure:
    """The samples of one figure, one a round, and their unit."""

    samples: list[float]
    unit: str

    def summary(self) -> dict[str, float | str]:
        """Returns what is stored: median, low, high and unit."""
        return {
            "median": statistics.median(self.samples),
            "low": min(self.samples),
            "high": max(self.samples),
            "unit": self.unit,
        }


Figures = dict[str, Figure]


def in_turn(works: Mapping[str, Work], repeats: int) -> dict[str, list[float]]:
    """Returns the seconds of every piece of work in every round, after one round that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(repeats + 1):
        for name, work in works.items():
            started = time.perf_counter()
            work()
            if turn:
                seconds[name].append(time.perf_counter() - started)
    return seconds


def alone(work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Returns what a function gives in a process of its own: nothing compiled, no memory used before."""
    with multiprocessing.get_context("spawn").Pool(1) as process:
        return process.apply(work, args, kwargs)


def ratios(above: list[float], below: list[float], factor: float = 1.0) -> list[float]:
    """Returns factor * above / below, round by round."""
    return [factor * one / other for one, other in zip(above, below, strict=True)]
