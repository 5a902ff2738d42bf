"""Judges whose opinion a test writes down, and figures found in the rows."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from degre_pipeline.judging.evaluation_config import EvaluationConfig
from degre_pipeline.reranker.requests import Requests

CONFIG = EvaluationConfig(bootstrap_samples=40, batch_size=2, device="cpu")


@dataclass(frozen=True)
class WrittenJudge:
    """Values an item by a rule; a list is worth the sum over its items."""

    name: str
    worth: Callable[[np.ndarray], np.ndarray]

    def prefix_values(self, requests: Requests, sequences: Tensor) -> np.ndarray:
        items = sequences.numpy()
        return (self.worth(items) * (items >= 0)).cumsum(-1).astype(float)


def figure(rows, diagnostic, subject, judge, at=None):
    """Returns the one value of that name."""
    (found,) = [
        row["value"]
        for row in rows
        if (row["diagnostic"], row["subject"], row["judge"]) == (diagnostic, subject, judge)
        and (math.isnan(row["at"]) if at is None else row["at"] == at)
    ]
    return found
