"""Requests stored with a model and the lists that the trained generator gives them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from degre_pipeline.serving.model.request_schema import Request, plain, without_ranking_score
from degre_pipeline.serving.model.reranking_model import RankedList, Reranker
from degre_pipeline.serving.model.signature import as_record

TOLERANCE = 1e-3
"""Largest difference of two probabilities that rounding may make."""


@dataclass(frozen=True)
class StoredExample:
    """Requests, their lists, and the sizes that the model was made for.

    Attributes:
        requests: Real requests.
        lists: `candidate_indices` and `probabilities` of each.
        list_length: Slots of a list, L.
        most_candidates: Most candidates of a request, N_max.
        usual_candidates: The largest number among real requests.
    """

    requests: Sequence[Request]
    lists: Sequence[Mapping[str, Any]]
    list_length: int
    most_candidates: int
    usual_candidates: int

    def check(self, reranker: Reranker) -> None:
        """Raises ValueError if a reranker gives other lists than those stored, or if none is stored."""
        if not self.requests:
            raise ValueError("the stored example has no request; allowed: one or more, to compare lists")
        for request, ranked, stored in zip(
            self.requests, reranker.rerank(self.requests), self.lists, strict=True
        ):
            if not _agree(ranked, stored):
                raise ValueError(
                    f"stored request {request.request_id}: the list is {ranked.candidate_indices} with "
                    f"probabilities {ranked.probabilities}; allowed: {stored['candidate_indices']} with "
                    f"{stored['probabilities']}"
                )

    def write(self, file: Path) -> None:
        """Writes the example as JSON."""
        content = {**vars(self), "requests": [as_record(request) for request in self.requests]}
        file.write_text(json.dumps(content, indent=1, default=plain), encoding="utf-8")

    @classmethod
    def read(cls, file: Path) -> StoredExample:
        """Returns what `write` has written."""
        content = json.loads(file.read_text("utf-8"))
        return cls(**{**content, "requests": [Request(**record) for record in content["requests"]]})


def stored_example(
    reranker: Reranker, requests: Sequence[Request], list_length: int, most_candidates: int, examples: int
) -> StoredExample:
    """Returns the first requests with the lists that a reranker gives them.

    Where the reranker scores candidates itself, they are stored a second time without a ranking score.
    """
    chosen = list(requests[:examples])
    if reranker.schema.scores_itself:
        chosen += [without_ranking_score(request) for request in chosen]
    ranked = reranker.rerank(chosen)
    lists = [
        {"candidate_indices": list(one.candidate_indices), "probabilities": list(one.probabilities)}
        for one in ranked
    ]
    usual = max(len(request.candidates) for request in requests)
    return StoredExample(chosen, lists, list_length, most_candidates, usual)


def _agree(ranked: RankedList, stored: Mapping[str, Any]) -> bool:
    """Returns whether two lists are equal; after a draw of equal probabilities anything may follow."""
    indices, probabilities = stored["candidate_indices"], stored["probabilities"]
    if len(ranked.candidate_indices) != len(indices):
        return False
    for slot, index in enumerate(ranked.candidate_indices):
        if not math.isclose(ranked.probabilities[slot], probabilities[slot], abs_tol=TOLERANCE):
            return False
        if index != indices[slot]:
            return True
    return True
