"""Requests as tensors: the one form in which lists reach the models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from degre_pipeline.reranker.schema import ROLES, SPLITS


@dataclass(frozen=True)
class Requests:
    """Encoded requests; every tensor has the request as its first dimension.

    Attributes:
        request_id: Ids, [b] int64.
        split: Index into SPLITS, [b] uint8.
        role: Index into ROLES, whose evaluator may learn from the request, [b] uint8.
        static: Indices of user and context fields, [b, columns] int32.
        candidates: Indices of item and score fields, [b, n, columns] int32.
        mask: True for real candidates, [b, n].
        scores: Ranking-stage scores, [b, n] float32.
        exposed: Candidate index shown at each slot, [b, t] int64; 0 where `exposed_mask` is False.
        exposed_mask: True for filled slots, [b, t].
        clicks: 1 for a clicked slot, [b, t] float32.
        encoding: Identity of the feature space whose indices these are; no tensor, "" for unknown.
    """

    request_id: Tensor
    split: Tensor
    role: Tensor
    static: Tensor
    candidates: Tensor
    mask: Tensor
    scores: Tensor
    exposed: Tensor
    exposed_mask: Tensor
    clicks: Tensor
    encoding: str = ""

    def __len__(self) -> int:
        return len(self.request_id)

    @property
    def list_length(self) -> int:
        """Slots of an exposed list, L."""
        return self.exposed.shape[1]

    @property
    def shown(self) -> Tensor:
        """The exposed lists as any other list is written: candidate indices [b, t], -1 in empty slots."""
        return self.exposed.masked_fill(~self.exposed_mask, -1)

    def select(self, rows: Tensor | slice) -> Requests:
        """Returns the given rows, in their order."""
        return self._with({name: tensor[rows] for name, tensor in self.to_tensors().items()})

    def with_ids(self, request_ids: Tensor) -> Requests:
        """Returns the requests with the given ids, in their order. Raises: ValueError: If one is absent."""
        ordered, rows = self.request_id.sort()
        place = torch.searchsorted(ordered, request_ids).clamp(max=len(self) - 1)
        unknown = request_ids[ordered[place] != request_ids]
        if len(unknown):
            raise ValueError(
                f"request {unknown[0]} of the lists is not among the request tensors ({len(unknown)} such); "
                "encode again: kedro run --pipeline=list_building"
            )
        return self.select(rows[place])

    def to(self, device: torch.device | str) -> Requests:
        """Returns the same requests on another device."""
        return self._with({name: tensor.to(device) for name, tensor in self.to_tensors().items()})

    def of(self, split: str, role: str | None = None) -> Requests:
        """Returns the requests of a split, and of a role when one is named.

        Raises: ValueError: If the split or role is unknown or holds no request.
        """
        for label, value, allowed in (("split", split, SPLITS), ("role", role or ROLES[0], ROLES)):
            if value not in allowed:
                raise ValueError(f"{label} is {value!r}; allowed: {', '.join(allowed)}")
        chosen = self.split == SPLITS.index(split)
        if role is not None:
            chosen = chosen & (self.role == ROLES.index(role))
        if not bool(chosen.any()):
            raise ValueError(
                f"no request has split {split!r}" + (f" and role {role!r}" if role else "") + "; "
                "at least one is needed: give more days or users, or another split"
            )
        return self.select(chosen.nonzero()[:, 0])

    def clicked(self) -> Requests:
        """Returns the requests whose exposed lists earned a click."""
        return self.select((self.clicks.sum(1) > 0).nonzero()[:, 0])

    def as_whole_log(self) -> Requests:
        """Returns the same requests for one evaluator that learns from all of them.

        It learns from training and validation, of whichever role; the requests of the test end its training.
        """
        learned = self.split != SPLITS.index("test")
        codes = [SPLITS.index("validation"), SPLITS.index("train")]
        split = torch.tensor(codes, dtype=self.split.dtype, device=self.split.device)[learned.long()]
        return replace(self, split=split, role=torch.full_like(self.role, ROLES.index("mining")))

    def showing(self, lists: Tensor) -> Requests:
        """Returns the same requests as if they had shown other lists, [b, t], whose clicks nobody knows: 0.

        Args:
            lists: Candidate indices of each request; -1 in empty slots.
        """
        return replace(
            self, exposed=lists.clamp(min=0), exposed_mask=lists >= 0, clicks=torch.zeros_like(self.clicks)
        )

    def joined(self, *others: Requests) -> Requests:
        """Returns these requests and others of the same shape and feature space, one after the other."""
        parts = [part.to_tensors() for part in (self, *others)]
        return self._with({name: torch.cat([part[name] for part in parts]) for name in TENSORS})

    def batches(self, size: int) -> Iterator[Requests]:
        """Yields the requests in order, `size` at a time; the last batch may be smaller."""
        for start in range(0, len(self), size):
            yield self.select(slice(start, start + size))

    def to_tensors(self) -> dict[str, Tensor]:
        """Returns the tensors by name."""
        return {name: getattr(self, name) for name in TENSORS}

    def _with(self, tensors: Mapping[str, Tensor]) -> Requests:
        return Requests(**tensors, encoding=self.encoding)

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], encoding: str = "") -> Requests:
        """Rebuilds requests from their tensors.

        Raises: ValueError: If a tensor is missing or the lengths differ.
        """
        missing = [name for name in TENSORS if name not in tensors]
        if missing:
            raise ValueError(f"request tensors lack {missing}; stored: {sorted(tensors)}")
        lengths = {name: len(tensors[name]) for name in TENSORS}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"request tensors differ in length: {lengths}; all must be equal")
        return cls(**{name: tensors[name] for name in TENSORS}, encoding=encoding)


TENSORS = tuple(field.name for field in fields(Requests) if field.name != "encoding")
"""Names of the tensors of `Requests`."""


def gather_candidates(per_candidate: Tensor, sequences: Tensor) -> Tensor:
    """Returns the rows of chosen candidates.

    Args:
        per_candidate: Anything by candidate, [b, n, ...].
        sequences: Candidate indices, [b, ...s].
    Returns: [b, ...s, ...], one row for each index.
    """
    b, trailing = sequences.shape[0], per_candidate.shape[2:]  # `len` would fix b in an exported program
    flat = sequences.reshape(b, -1).long()
    rows = torch.arange(b, device=flat.device)[:, None]
    return per_candidate[rows, flat].reshape(*sequences.shape, *trailing)
