"""The served model, free of any framework: raw requests in, ordered lists out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from degre_pipeline.reranker.configs import TrainedWeights
from degre_pipeline.reranker.features import FeatureSpace, Indices
from degre_pipeline.reranker.models.builders import restore_decoding
from degre_pipeline.reranker.schema import Field
from degre_pipeline.serving.request_schema import ITEM_ID, ItemId, Request, RequestSchema, plain, plain_value


@dataclass(frozen=True)
class RankedList:
    """The list for one request; shorter than the model's list length when there are fewer candidates.

    Attributes:
        request_id: As in the request.
        item_ids: Items in the order to show them.
        candidate_indices: Their places among the request's candidates.
        probabilities: Of each item at its slot, among the candidates not yet chosen.
    """

    request_id: ItemId | None
    item_ids: tuple[ItemId, ...]
    candidate_indices: tuple[int, ...]
    probabilities: tuple[float, ...]


class Decoder(Protocol):
    """A trained generator, or what runs its exported program."""

    def decode(self, static: Tensor, candidates: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Returns sequences [b, L] and log-probabilities [b, L, n]; see `OnlineGenerator.greedy_decode`."""


class Reranker:
    """Orders raw requests with a trained generator.

    Values that training did not show (an unknown user, item or category) and missing values are encoded as
    index 0. Candidates that look the same to the model keep the order in which they were handed over.

    Args:
        generator: In eval mode, on the CPU.
        space: The feature space it was trained on.
        batch_size: Requests decoded together.
    """

    def __init__(self, generator: Decoder, space: FeatureSpace, batch_size: int = 256) -> None:
        self._generator, self._space, self._batch_size = generator, space, batch_size
        self._schema = RequestSchema.of(space)
        self._static = tuple(field for field in space.fields if not field.per_candidate)

    def rerank(self, requests: Sequence[Request]) -> list[RankedList]:
        """Returns the list of every request, in their order.

        Raises: ValueError: On the first bad request, before any is ranked; see `RequestSchema.check`.
        """
        for position, request in enumerate(requests):
            self._schema.check(request, position)
        return self.rank_checked(requests)

    def rank_checked(self, requests: Sequence[Request]) -> list[RankedList]:
        """Returns the list of every request, in their order, where all have been checked."""
        starts = range(0, len(requests), self._batch_size)
        batches = (requests[start : start + self._batch_size] for start in starts)
        return [ranked for batch in batches for ranked in self._rerank_batch(batch)]

    def _rerank_batch(self, requests: Sequence[Request]) -> list[RankedList]:
        static, candidates, mask = self.encode(requests)
        sequences, log_probabilities = self._generator.decode(static, candidates, mask)
        chosen = log_probabilities.gather(-1, sequences.clamp(min=0)[..., None])[..., 0].exp()
        return [_ranked(*one) for one in zip(requests, sequences.tolist(), chosen.tolist(), strict=True)]

    def encode(self, requests: Sequence[Request]) -> tuple[Tensor, Tensor, Tensor]:
        """Encodes checked requests, padded to the largest number of candidates among them.

        Returns: Indices of user and context fields [b, columns] and of item and score fields [b, n, columns],
            and the mask [b, n].
        """
        counts = np.array([len(request.candidates) for request in requests])
        mask = np.arange(counts.max()) < counts[:, None]
        users_and_contexts = [{**request.user, **request.context} for request in requests]
        flat = self._encoded(self._schema.candidate, [c for request in requests for c in request.candidates])
        padded = np.zeros((*mask.shape, flat.shape[1]), dtype=np.int32)
        padded[mask] = flat
        static = self._encoded(self._static, users_and_contexts)
        return torch.from_numpy(static), torch.from_numpy(padded), torch.from_numpy(mask)

    def _encoded(self, fields: Sequence[Field], rows: Sequence[Mapping[str, Any]]) -> Indices:
        """Returns the indices [rows, columns] of the fields' values."""
        empty = np.zeros((len(rows), 0), dtype=np.int32)
        encoded = [self._space.encode(field.name, _column(field, rows)) for field in fields]
        return np.concatenate([empty, *encoded], axis=1)


def build_reranker(trained: TrainedWeights, space: FeatureSpace) -> Reranker:
    """Returns the served model of trained weights and the feature space they belong to.

    Raises: ValueError: If the weights were trained on other fields or other fitted sizes.
    """
    wanted = [size.as_dict() for size in space.sizes()]
    if trained.config.get("sizes") != wanted:
        raise ValueError(
            f"the generator was trained for the fields {trained.config.get('sizes')}; "
            f"the feature space allows: {wanted}"
        )
    return Reranker(restore_decoding(trained), space)


def _column(field: Field, rows: Sequence[Mapping[str, Any]]) -> NDArray[np.object_]:
    column = np.empty(len(rows), dtype=object)
    column[:] = [plain_value(field, row.get(field.name)) for row in rows]
    return column


def _ranked(request: Request, indices: Sequence[int], probabilities: Sequence[float]) -> RankedList:
    filled = [slot for slot, index in enumerate(indices) if index >= 0]
    chosen = tuple(indices[slot] for slot in filled)
    return RankedList(
        request_id=request.request_id,
        item_ids=tuple(plain(request.candidates[index][ITEM_ID]) for index in chosen),
        candidate_indices=chosen,
        probabilities=tuple(probabilities[slot] for slot in filled),
    )
