"""What each model learns from: the loss of a batch of requests or of mined sequences."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from degre_pipeline.reranker.batching import SPLITS, Requests, gather_candidates
from degre_pipeline.reranker.configs import DistillationConfig
from degre_pipeline.reranker.labels import sequence_weights, soft_labels
from degre_pipeline.reranker.losses import (
    cumulative_regression_loss,
    hybrid_distillation_loss,
    slot_click_loss,
)


def evaluator_loss(model: nn.Module, requests: Requests) -> Tensor:
    """Loss of the exposed lists of a batch, the mean of models trained as one; see `exposed_list_loss`."""
    logits = model(requests.static, gather_candidates(requests.candidates, requests.exposed))
    each = logits if logits.ndim == 4 else logits[None]
    return torch.stack([exposed_list_loss(own, requests) for own in each]).mean()


def exposed_list_loss(logits: Tensor, requests: Requests) -> Tensor:
    """Loss of exposed lists by an evaluator's logits: of cumulative levels, or of slots with one column."""
    if logits.shape[-1] == 1:
        return slot_click_loss(logits[..., 0], requests.clicks, requests.exposed_mask)
    return cumulative_regression_loss(logits, requests.clicks.cumsum(1), requests.exposed_mask)


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
        """Returns the requests of a split, one of `batching.SPLITS`."""
        return self.select((self.requests.split == SPLITS.index(split)).nonzero()[:, 0])

    def to(self, device: torch.device | str) -> MinedRequests:
        """Returns the same examples on another device."""
        return MinedRequests(self.requests.to(device), *(tensor.to(device) for tensor in self._tensors()))

    def to_tensors(self) -> dict[str, Tensor]:
        """Returns a flat dict of all that is learned from."""
        names = ("sequences", "values", "step_values", "targets")
        return {**self.requests.to_tensors(), **dict(zip(names, self._tensors(), strict=True))}

    def one_sequence(self, weights: Tensor) -> MinedRequests:
        """Returns one sequence of each request, drawn in proportion to its weight, [b, k]."""
        rows, drawn = torch.arange(len(self), device=weights.device)[:, None], weights.multinomial(1)
        return MinedRequests(self.requests, *(tensor[rows, drawn] for tensor in self._tensors()))

    def _tensors(self) -> tuple[Tensor, ...]:
        return self.sequences, self.values, self.step_values, self.targets


@dataclass(frozen=True)
class DistillationLoss:
    """Hybrid distillation loss of a batch of mined requests, with its labels made on the fly."""

    config: DistillationConfig

    def __call__(self, model: nn.Module, mined: MinedRequests) -> Tensor:
        """Returns the mean loss of the batch."""
        requests, config = mined.requests, self.config
        weights = self._weights(mined.values.float())
        if config.one_sequence_a_step and model.training:
            mined, weights = mined.one_sequence(weights), torch.ones_like(weights[:, :1])
        log_probabilities = model(requests.static, requests.candidates, requests.mask, mined.sequences.long())
        return hybrid_distillation_loss(
            log_probabilities,
            mined.targets.long(),
            soft_labels(mined.step_values.float(), config.soft_label_temperature),
            weights,
            soft_label_weight=config.soft_label_weight,
            use_hard_labels=config.hard_labels,
        )

    def _weights(self, values: Tensor) -> Tensor:
        if self.config.sequence_weighting:
            return sequence_weights(values, self.config.sequence_temperature)
        exists = values.isfinite()
        return exists / exists.float().mean(1, keepdim=True)


def exposed_as_mined(requests: Requests) -> MinedRequests:
    """Returns exposed lists in the form of mined ones, one a request, no values: the exposed teacher."""
    b, n = requests.mask.shape
    sequences = requests.shown[:, None]
    nothing = torch.full((b, 1, requests.list_length, n), float("-inf"))
    return MinedRequests.of(requests, sequences, torch.zeros(b, 1), nothing)
