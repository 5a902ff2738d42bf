"""The served model, free of any framework: raw requests in, ordered lists out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from degre_pipeline.reranker.features import FeatureSpace
from degre_pipeline.reranker.models.stored_models import TrainedWeights, restore_decoding
from degre_pipeline.serving.model.ranking_model import RankingModel, check_fields
from degre_pipeline.serving.model.request_encoding import encode_requests
from degre_pipeline.serving.model.request_schema import ITEM_ID, ItemId, Request, RequestSchema, plain

PROBABILITY_ROUNDING = 1e-3
"""By so much a probability may be above one."""


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
        ranking: Scores the candidates of requests that come without a ranking score; None where a score
            must come.
    """

    def __init__(
        self,
        generator: Decoder,
        space: FeatureSpace,
        batch_size: int = 256,
        *,
        ranking: RankingModel | None = None,
    ) -> None:
        self._generator, self._space, self._batch_size = generator, space, batch_size
        self._ranking = ranking
        self.schema = RequestSchema.of(space, scores_itself=ranking is not None)

    def rerank(self, requests: Sequence[Request]) -> list[RankedList]:
        """Returns the list of every request, in their order.

        Raises: ValueError: On the first bad request, before any is ranked; see `RequestSchema.check`.
        """
        for position, request in enumerate(requests):
            self.schema.check(request, position)
        return self.rank_checked(requests)

    def scored(self, requests: Sequence[Request]) -> Sequence[Request]:
        """Returns checked requests, with a ranking score where none came and the model has its own."""
        return requests if self._ranking is None else self._ranking.scored(requests)

    def rank_checked(self, requests: Sequence[Request]) -> list[RankedList]:
        """Returns the list of every request, in their order, where all have been checked."""
        starts = range(0, len(requests), self._batch_size)
        batches = (requests[start : start + self._batch_size] for start in starts)
        return [ranked for batch in batches for ranked in self._rerank_batch(batch)]

    def _rerank_batch(self, requests: Sequence[Request]) -> list[RankedList]:
        static, candidates, mask = self.encode(self.scored(requests))
        sequences, log_probabilities = self._generator.decode(static, candidates, mask)
        chosen = log_probabilities.gather(-1, sequences.clamp(min=0)[..., None])[..., 0].exp()
        return [_ranked(*one) for one in zip(requests, sequences.tolist(), chosen.tolist(), strict=True)]

    def encode(self, requests: Sequence[Request]) -> tuple[Tensor, Tensor, Tensor]:
        """Returns what the generator reads of checked and scored requests; see `encode_requests`."""
        return encode_requests(self._space, requests)


def build_reranker(
    trained: TrainedWeights, space: FeatureSpace, ranking: RankingModel | None = None
) -> Reranker:
    """Returns the served model of trained weights and the feature space they belong to.

    Raises: ValueError: If the weights were trained on other fields or other fitted sizes.
    """
    check_fields("generator", trained, space)
    return Reranker(restore_decoding(trained), space, ranking=ranking)


def _ranked(request: Request, indices: Sequence[int], probabilities: Sequence[float]) -> RankedList:
    """Returns the list of a request.

    Raises: RuntimeError: If it is none: with an item twice or not at its place, or a slot left empty.
    """
    length = min(len(indices), len(request.candidates))
    chosen, after = tuple(indices[:length]), indices[length:]
    probable = all(0 <= probability <= 1 + PROBABILITY_ROUNDING for probability in probabilities[:length])
    within = all(0 <= index < len(request.candidates) for index in chosen)
    if not within or not probable or len(set(chosen)) < length or any(index >= 0 for index in after):
        raise RuntimeError(
            f"request {request.request_id!r}: the model ranks candidates {list(indices)} with probabilities "
            f"{list(probabilities)}; allowed: {length} different ones of {len(request.candidates)}"
        )
    return RankedList(
        request_id=request.request_id,
        item_ids=tuple(plain(request.candidates[index][ITEM_ID]) for index in chosen),
        candidate_indices=chosen,
        probabilities=tuple(probabilities[:length]),
    )
