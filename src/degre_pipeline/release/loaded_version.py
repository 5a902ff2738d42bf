"""A registered version at work on raw requests, exactly as a service would serve it."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import mlflow
from mlflow.entities import LoggedModel

from degre_pipeline.reranker.features import FeatureSpace
from degre_pipeline.serving.model.program import load_program
from degre_pipeline.serving.model.request_schema import Request
from degre_pipeline.serving.model.runners import EagerRunner
from degre_pipeline.serving.model.served_files import PROGRAM, files_of
from degre_pipeline.serving.model.served_model import ServedModel, fetch_files, logged_model, proven


@dataclass(frozen=True)
class Contender:
    """A version whose stored program is loaded.

    Attributes:
        served: The model.
        runner: Runs its program.
        size_bytes: Of the files that serve.
    """

    served: ServedModel
    runner: EagerRunner
    size_bytes: int

    @property
    def space(self) -> FeatureSpace:
        """The feature space it was trained on, which may be another than today's."""
        return self.served.space

    def ranked(self, requests: Sequence[Request]) -> list[list[int]]:
        """Returns the candidate indices of every request's list; none where the program gives no list."""
        try:
            return [list(one.candidate_indices) for one in self.served.reranker.rerank(requests)]
        except RuntimeError:
            if len(requests) == 1:
                return [[]]
            return [self.ranked([request])[0] for request in requests]


def load_contender(name: str, version: int, folder: Path) -> Contender:
    """Returns a registered version; see `open_contender`.

    Args:
        name: Of the registered model.
        version: Of the model.
        folder: Where to put its files.
    """
    return open_contender(logged_model(mlflow.MlflowClient(), name, str(version)), folder)


def open_contender(logged: LoggedModel, folder: Path) -> Contender:
    """Returns a logged model, from the files that a service reads.

    They are data: the code that travels with a model is not run here, because whoever may register a version
    would run it on the machine that trains.

    Args:
        logged: The model.
        folder: Where to put its files.
    Raises: ValueError: If a file is not the one that was registered, could execute anything but tensor
        operations, or ranks otherwise than its stored example.
    """
    folder.mkdir(parents=True, exist_ok=True)
    fetch_files(logged, mlflow.get_tracking_uri(), folder)
    runner = EagerRunner(load_program(folder / PROGRAM))
    size_bytes = sum((folder / file).stat().st_size for file in files_of(logged.tags))
    return Contender(proven(runner, folder), runner, size_bytes)


def median_latencies_ms(
    turns: Sequence[tuple[Contender, Sequence[Request]]], warm_up: int = 3
) -> list[float]:
    """Returns the median milliseconds of a single request for each contender.

    They take turns, so that whatever else the machine does slows all of them.

    Args:
        turns: Each contender with the requests as it takes them, equally many, at least one.
        warm_up: How often the first request is ranked before the clock starts.
    """
    for contender, requests in turns:
        for _ in range(warm_up):
            contender.ranked(requests[:1])
    taken: list[list[float]] = [[] for _ in turns]
    for turn in zip(*(requests for _, requests in turns), strict=True):
        for times, (contender, _), request in zip(taken, turns, turn, strict=True):
            start = time.perf_counter()
            contender.ranked([request])
            times.append(1000 * (time.perf_counter() - start))
    return [statistics.median(times) for times in taken]
