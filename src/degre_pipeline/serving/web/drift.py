"""How far the scores that arrive have moved away from those of training."""

import math
import threading
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from degre_pipeline.reranker.features import FeatureSpace
from degre_pipeline.serving.model.request_schema import Request

MEMORY = 20_000.0
"""About so many candidates count; older ones fade out."""


class ScoreDrift:
    """Counts the score fields in the buckets that were fitted as quantiles of the training scores.

    Were nothing to change, every bucket would get the same share. The index sums (p - q) ln(p / q) over the
    buckets, p being the share found and q the same share for all; usage calls 0.1 small and 0.25 large.

    Args:
        space: The feature space whose buckets are counted.
    """

    def __init__(self, space: FeatureSpace) -> None:
        fields = [field for field in space.fields if field.group == "score" and field.kind == "numeric"]
        self._edges = {field.name: np.asarray(space.edges[field.name]) for field in fields}
        self._counts = {name: np.zeros(len(edges) + 1) for name, edges in self._edges.items()}
        self._lock = threading.Lock()

    def add(self, requests: Sequence[Request]) -> None:
        """Counts the scores of checked requests; a missing one is left out."""
        candidates = [candidate for request in requests for candidate in request.candidates]
        for name, edges in self._edges.items():
            given = np.asarray([candidate.get(name) for candidate in candidates], dtype=np.float64)
            scores = given[~np.isnan(given)]
            buckets = np.searchsorted(edges, scores, side="right")
            found = np.bincount(buckets, minlength=len(edges) + 1)
            with self._lock:
                kept = math.exp(-len(scores) / MEMORY)
                self._counts[name] = self._counts[name] * kept + found

    def indices(self) -> dict[str, float]:
        """Returns the population stability index of every score field; 0 before anything was counted."""
        with self._lock:
            return {name: stability_index(counts) for name, counts in self._counts.items()}


def stability_index(counts: NDArray[np.float64]) -> float:
    """Returns the population stability index of counts against equal shares, half a count added to each."""
    shares = (counts + 0.5) / (counts + 0.5).sum()
    equal = 1 / len(counts)
    return float(((shares - equal) * np.log(shares / equal)).sum())
