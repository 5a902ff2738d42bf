"""What the gate knows of the two versions when it decides."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from degre_pipeline.judging import names
from degre_pipeline.reranker.checked_settings import require
from degre_pipeline.reranker.metrics import Array


@dataclass(frozen=True)
class VersionFacts:
    """What is known of one version.

    Attributes:
        version: In the registry.
        origin: What tells it from another version of that number: its run and logged model.
        training_first_day: ISO date of the first request it learned from; None where it is not recorded.
        training_last_day: ISO date of the last one, validation included.
        invalid_lists: Lists of the slice that are not an order of some of the candidates.
        latency_ms: Median over single requests.
        size_bytes: Of the stored model's files.
        problem: Why it could not rank the slice; empty where it could.
    """

    version: int
    origin: str
    training_first_day: str | None
    training_last_day: str | None
    invalid_lists: int
    latency_ms: float
    size_bytes: int
    problem: str = ""


@dataclass(frozen=True)
class Judged:
    """Values by one judge: expected clicks of each request's list, [r]; None where there is no version."""

    challenger: Array
    champion: Array | None
    reference: Array | None = None


@dataclass(frozen=True)
class Evidence:
    """All that the rules look at.

    Attributes:
        slice_first_day: ISO date of the first request of the slice.
        challenger: The new version.
        champion: The served one; None where there is none.
        reference: The best recent champion; None where that is the champion itself, or where there is none.
        differing_lists: Lists of the challenger's export that the trained generator orders otherwise.
        differing_shapes: Shapes of requests for which its program gives other lists than the generator.
        outdated_lists: Lists of the challenger's evaluation that the trained generator orders otherwise: its
            figures are then another generator's.
        judged: By judge.
        user: Number of each request's user, [r]; a request whose user is unknown has a number of its own.
        users: Requests of each group of users, [r] truth values.
        reservations: What in the registry asks for a person, such as a version that was taken down.
        figures: Rows {subject, judge, metric, value, low, high} of the challenger's evaluation.
    """

    slice_first_day: str
    challenger: VersionFacts
    champion: VersionFacts | None
    reference: VersionFacts | None
    differing_lists: int
    differing_shapes: int
    outdated_lists: int
    judged: Mapping[str, Judged]
    user: NDArray[np.int64]
    users: Mapping[str, NDArray[np.bool_]]
    reservations: Sequence[str]
    figures: Sequence[Mapping[str, Any]]

    def figure(self, subject: str, judge: str, metric: str, part: str = "value") -> float | None:
        """Returns a figure, or an end of its interval; None where it was not measured.

        Raises: ValueError: If the evaluation has no metric of that name: no rule may rest on a slip.
        """
        require(metric in names.METRICS, "metric of a rule", metric, f"one of {', '.join(names.METRICS)}")
        wanted = (subject, judge, metric)
        rows = (row for row in self.figures if (row["subject"], row["judge"], row["metric"]) == wanted)
        return next((row[part] for row in rows), None)
