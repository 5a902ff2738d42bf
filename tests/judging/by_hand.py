"""Three candidates whose clicks can be worked out in the head, and a judge that adds up worths of items.

The truth: alone, candidate 0 is clicked with 0.5, candidate 1 with 0.4 and candidate 2 with 0.8. Candidates 0
and 2 are of one category, and the second of them is clicked less: after 2, candidate 0 with 0.2; after 0,
candidate 2 with 0.5. The slot itself changes nothing. So the lists of two are worth

    [0, 1] 0.5 + 0.4 = 0.9    [1, 0] 0.4 + 0.5 = 0.9    [2, 0] 0.8 + 0.2 = 1.0
    [0, 2] 0.5 + 0.5 = 1.0    [1, 2] 0.4 + 0.8 = 1.2    [2, 1] 0.8 + 0.4 = 1.2
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from degre_pipeline.reranker.requests import Requests
from degre_pipeline.simulation.click_world import ClickTruth


def logit(probability: float) -> float:
    return math.log(probability / (1 - probability))


def requests_of(ids: Sequence[int], *, n: int = 3, slots: int = 2, real: Sequence[int] = ()) -> Requests:
    """Requests that show the first `slots` of their `n` candidates, of which `real` exist."""
    b = len(ids)
    counts = torch.tensor(list(real) or [n] * b)
    return Requests(
        request_id=torch.tensor(ids),
        split=torch.zeros(b, dtype=torch.uint8),
        role=torch.zeros(b, dtype=torch.uint8),
        static=torch.zeros(b, 0, dtype=torch.int32),
        candidates=torch.zeros(b, n, 1, dtype=torch.int32),
        mask=torch.arange(n) < counts[:, None],
        scores=torch.zeros(b, n),
        exposed=torch.arange(slots).expand(b, slots),
        exposed_mask=torch.arange(slots) < counts[:, None],
        clicks=torch.zeros(b, slots),
    )


def truth_of(probabilities: dict[int, list[float]]) -> ClickTruth:
    """A truth with the given click probabilities of candidates 0 to 2 alone, by request id."""
    logits = [[logit(one) for one in row] for row in probabilities.values()]
    return ClickTruth(
        request_id=np.array(list(probabilities)),
        stand_alone_logits=np.array(logits, dtype=np.float32),
        categories=np.array([[0, 1, 0]] * len(logits)),
        complement_of=np.array([-1, -1]),
        satiation=math.log(4),  # from 0.8, odds of 4, to 0.5; from 0.5, odds of 1, to 0.2
        complement_bonus=0.0,
        slot_penalty=0.0,
    )


@dataclass(frozen=True)
class AddingJudge:
    """Values a list by the sum of its items' worths, by request id; notes how many requests came at once."""

    worths: dict[int, list[float]]
    name: str = "adding"
    batches: list[int] = field(default_factory=list)

    def prefix_values(self, requests: Requests, sequences: Tensor) -> np.ndarray:
        self.batches.append(len(requests))
        worths = np.array([self.worths[request] for request in requests.request_id.tolist()])
        rows = np.arange(len(requests))[:, None, None]
        items = sequences.numpy()
        return np.where(items >= 0, worths[rows, items], 0.0).cumsum(-1)
