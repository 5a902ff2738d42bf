"""What is found of a model after each epoch of its training, kept with the training's state."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from degre_pipeline.reranker.checked_settings import check_types, require
from degre_pipeline.reranker.models.ensemble import EvaluatorEnsemble, MembersInOnePass
from degre_pipeline.reranker.models.evaluator import Evaluator
from degre_pipeline.reranker.requests import Requests
from degre_pipeline.reranker.search.beam import beam_search

BATCH = 64  # requests searched together


@dataclass(frozen=True)
class EpochMiningConfig:
    """What the mining evaluator mines after each epoch of its training, so that its optimism can be followed.

    Attributes:
        requests: Validation requests of its own that are searched, drawn at random; 0: none.
        beam_size: B.
        seed: Of the draw.
    """

    requests: int = 0
    beam_size: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        check_types(self)
        require(self.requests >= 0, "requests", self.requests, "0 (none) or more")
        require(1 <= self.beam_size <= 10_000, "beam_size", self.beam_size, "1 to 10,000")


@dataclass
class EpochRecords:
    """Tensors found of a model after each epoch; a training fills them in place.

    Attributes:
        find: Finds tensors by name, always the same names and shapes; draws no random number.
        settings: What the tensors depend on beside the model; other settings begin a kept training anew.
        found: One entry a finished epoch.
    """

    find: Callable[[nn.Module], dict[str, Tensor]]
    settings: Mapping[str, Any]
    found: list[dict[str, Tensor]] = field(default_factory=list)

    def add(self, model: nn.Module) -> None:
        """Finds of the model as it is now, in place."""
        self.found.append(self.find(model))

    def put_back(self, stacked: Mapping[str, Tensor]) -> None:
        """Takes what an interrupted training had found, as `stacked` gave it, in place."""
        epochs = len(next(iter(stacked.values()))) if stacked else 0
        self.found = [{name: t[epoch] for name, t in stacked.items()} for epoch in range(epochs)]

    def stacked(self) -> dict[str, Tensor]:
        """Returns the tensors by name, the epoch first; nothing before the first epoch is done."""
        return {name: torch.stack([own[name] for own in self.found]) for name in next(iter(self.found), {})}


def mined_each_epoch(requests: Requests, beam_size: int) -> EpochRecords:
    """Returns records of the best list that a beam finds for some requests with the evaluator of each epoch.

    An ensemble mines by its members' mean.

    Args:
        requests: Those that are searched.
        beam_size: B.
    Returns: Records of `sequences` [r, t] int32, -1 at the end of shorter lists, and of the evaluator's own
        `values` [r].
    """
    settings = {"requests": requests.request_id.tolist(), "beam_size": beam_size}
    return EpochRecords(lambda model: _best_lists(_as_evaluator(model), requests, beam_size), settings)


def _best_lists(evaluator: Evaluator, requests: Requests, beam_size: int) -> dict[str, Tensor]:
    device = next(evaluator.parameters()).device
    found = [
        beam_search(evaluator, batch.to(device), beam_size=beam_size) for batch in requests.batches(BATCH)
    ]
    return {
        "sequences": torch.cat([one.sequences[:, 0] for one in found]).int().cpu(),
        "values": torch.cat([one.values[:, 0] for one in found]).float().cpu(),
    }


def _as_evaluator(model: nn.Module) -> Evaluator:
    """Returns what can be searched with, in eval mode: the model itself, or the members trained as one."""
    if isinstance(model, MembersInOnePass):
        device = next(model.parameters()).device
        return EvaluatorEnsemble(model.separate()).to(device).eval()
    assert isinstance(model, Evaluator)
    return model
