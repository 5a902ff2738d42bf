"""What the gate knows of the two versions when it decides."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from degre_pipeline.reranker.metrics import Array

INDEPENDENT_JUDGES = ("truth", "external")
"""Judges that did not teach the generator; the mining evaluator is none of them."""


@dataclass(frozen=True)
class VersionFacts:
    """What is known of one version.

    Attributes:
        version: In the registry.
        training_first_day: ISO date of the first request it learned from; None where it is not recorded.
        training_last_day: ISO date of the last one, validation included.
        invalid_lists: Lists of the slice that are not an order of some of the candidates.
        latency_ms: Median over single requests.
        size_bytes: Of the stored model's files.
        problem: Why it could not rank the slice; empty where it could.
    """

    version: int
    training_first_day: str | None
    training_last_day: str | None
    invalid_lists: int
    latency_ms: float
    size_bytes: int
    problem: str = ""


@dataclass(frozen=True)
class Judged:
    """Values by one judge: expected clicks of each request's list, [r]; no champion's where there is none."""

    challenger: Array
    champion: Array | None


@dataclass(frozen=True)
class Evidence:
    """All that the rules look at.

    Attributes:
        slice_first_day: ISO date of the first request of the slice.
        challenger: The new version.
        champion: The served one; None where there is none.
        differing_lists: Lists of the challenger's export that the trained generator orders otherwise.
        outdated_lists: Lists of the challenger's evaluation that the trained generator orders otherwise: its
            figures are then another generator's.
        judged: By judge.
        user: Number of each request's user, [r]; a request whose user is unknown has a number of its own.
        users: Requests of each group of users, [r] truth values.
        figures: Rows {subject, judge, metric, value, low, high} of the challenger's evaluation.
    """

    slice_first_day: str
    challenger: VersionFacts
    champion: VersionFacts | None
    differing_lists: int
    outdated_lists: int
    judged: Mapping[str, Judged]
    user: NDArray[np.int64]
    users: Mapping[str, NDArray[np.bool_]]
    figures: Sequence[Mapping[str, Any]]

    def figure(self, subject: str, judge: str, metric: str, part: str = "value") -> float | None:
        """Returns a figure, or an end of its interval; None where it was not measured."""
        wanted = (subject, judge, metric)
        rows = (row for row in self.figures if (row["subject"], row["judge"], row["metric"]) == wanted)
        return next((row[part] for row in rows), None)
