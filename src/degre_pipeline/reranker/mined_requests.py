"""Requests with the lookahead sequences that a search found for them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from degre_pipeline.reranker.requests import Requests
from degre_pipeline.reranker.schema import SPLITS


@dataclass(frozen=True)
class MinedRequests:
    """Requests with their lookahead sequences.

    Attributes:
        requests: b requests.
        sequences: Candidate indices, [b, k, t]; -1 where a list is shorter.
        values: Value of each sequence, [b, k].
        step_values: Value of every extension, [b, k, t, n]; -inf for what could not be chosen.
        targets: What should follow each prefix of the sequences, [b, k, t]: of mined ones the next item.
    """

    requests: Requests
    sequences: Tensor
    values: Tensor
    step_values: Tensor
    targets: Tensor

    @classmethod
    def of(cls, requests: Requests, sequences: Tensor, values: Tensor, step_values: Tensor) -> MinedRequests:
        """Returns requests with sequences whose prefixes are each followed by their own next item."""
        return cls(requests, sequences, values, step_values, targets=sequences)

    @property
    def request_id(self) -> Tensor:
        """Ids of the requests, [b]."""
        return self.requests.request_id

    def __len__(self) -> int:
        return len(self.requests)

    def select(self, rows: Tensor | slice) -> MinedRequests:
        """Returns the given rows."""
        return MinedRequests(self.requests.select(rows), *(tensor[rows] for tensor in self._tensors()))

    def of_split(self, split: str) -> MinedRequests:
        """Returns the requests of a split, one of `schema.SPLITS`."""
        return self.select((self.requests.split == SPLITS.index(split)).nonzero()[:, 0])

    def to(self, device: torch.device | str) -> MinedRequests:
        """Returns the same examples on another device."""
        return MinedRequests(self.requests.to(device), *(tensor.to(device) for tensor in self._tensors()))

    def to_tensors(self) -> dict[str, Tensor]:
        """Returns a flat dict of all that is learned from."""
        names = ("sequences", "values", "step_values", "targets")
        return {**self.requests.to_tensors(), **dict(zip(names, self._tensors(), strict=True))}

    def with_best_targets(self) -> MinedRequests:
        """Returns the same with each prefix followed by the next item of the best sequence that shares it.

        Where sequences that begin alike part, only the best one says what should come next. Sequences of
        `of` come best first.
        """
        same_item = self.sequences[:, :, None] == self.sequences[:, None]
        first = torch.ones_like(same_item[..., :1])
        same_prefix = torch.cat([first, same_item[..., :-1]], -1).cumprod(-1)  # [b, k, of k, t]
        exists = self.values.isfinite()[:, None, :, None]
        best = (same_prefix * exists).argmax(2)  # ties go to the first, which is the best one
        return replace(self, targets=self.targets.gather(1, best).masked_fill(self.targets < 0, -1))

    def one_sequence(self, weights: Tensor) -> MinedRequests:
        """Returns one sequence of each request, drawn in proportion to its weight, [b, k]."""
        rows, drawn = torch.arange(len(self), device=weights.device)[:, None], weights.multinomial(1)
        return MinedRequests(self.requests, *(tensor[rows, drawn] for tensor in self._tensors()))

    def _tensors(self) -> tuple[Tensor, ...]:
        return self.sequences, self.values, self.step_values, self.targets


def exposed_as_mined(requests: Requests) -> MinedRequests:
    """Returns exposed lists in the form of mined ones, one a request, no values: the exposed teacher."""
    b, n = requests.mask.shape
    sequences = requests.shown[:, None]
    nothing = torch.full((b, 1, requests.list_length, n), float("-inf"))
    return MinedRequests.of(requests, sequences, torch.zeros(b, 1), nothing)
