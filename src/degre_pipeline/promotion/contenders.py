"""A registered version at work on raw requests, loaded as any user of MLflow would load it."""

import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import mlflow
from mlflow.artifacts import download_artifacts
from mlflow.pyfunc import PyFuncModel

from degre_pipeline.reranker.features import FeatureSpace
from degre_pipeline.serving.request_schema import Request
from degre_pipeline.serving.signature import candidate_lists


@dataclass(frozen=True)
class Contender:
    """A loaded version.

    Attributes:
        space: The feature space it was trained on, which may be another than today's.
        size_bytes: Of its weights and settings, without the code that travels with them.
        model: What MLflow loaded.
    """

    space: FeatureSpace
    size_bytes: int
    model: PyFuncModel

    def ranked(self, requests: Sequence[Request]) -> list[list[int]]:
        """Returns the candidate indices of every request's list."""
        return candidate_lists(self.model, requests)


def load_contender(name: str, version: int, folder: Path) -> Contender:
    """Returns a registered version.

    Args:
        name: Of the registered model.
        version: Of the model.
        folder: Where to put its files; they must stay while it is used.
    """
    files = Path(download_artifacts(artifact_uri=f"models:/{name}/{version}", dst_path=str(folder)))
    stored = files / "artifacts"
    space = json.loads((stored / "feature_space.json").read_text("utf-8"))
    return Contender(
        space=FeatureSpace.from_dict(space),
        size_bytes=sum(path.stat().st_size for path in stored.rglob("*") if path.is_file()),
        model=mlflow.pyfunc.load_model(str(files)),
    )


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
