"""How close a list is to those of the log, and an evaluator that prefers lists close to it."""

import torch
from torch import Tensor
from torch.nn import functional

from degre_pipeline.reranker.checked_settings import require
from degre_pipeline.reranker.models.company import SumsOfCompany
from degre_pipeline.reranker.models.evaluator import Cache, Evaluator, LookaheadEvaluator
from degre_pipeline.reranker.models.slot_clicks import SlotClickEvaluator


class Discriminator(SlotClickEvaluator, SumsOfCompany):
    """Tells logged lists from mined ones, slot by slot; a prefix is worth how close it is to the log.

    It learns as an evaluator of slots does: every slot of a logged list counts as clicked, of a mined one as
    not. With D_t, the chance that a list up to slot t is logged, a prefix is worth the sum of -log(1 - D_t).
    Source: EG-Rerank+ (arXiv 2003.11941), the discriminator's reward. Differs: the network is that of our
        sums of company.
    """

    @property
    def vector_width(self) -> int:
        """Width of a candidate's vector: its own logit, its u and its v."""
        return 1 + 2 * self.channels

    layers_cached = 2
    """Pairs in a cache: the v of the items of a prefix, and what its slots are worth."""

    def worth(self, logits: Tensor) -> Tensor:
        """Returns -log(1 - D) of the slots, in nats."""
        return functional.softplus(logits)


class CautiousEvaluator(Evaluator):
    """An evaluator less sure of lists unlike those of the log: V + kappa times how close they are to it.

    To a search it is one evaluator, as an ensemble is. Its values are no clicks.
    """

    def __init__(self, evaluator: Evaluator, discriminator: Discriminator, pessimism: float) -> None:
        super().__init__()
        require(pessimism > 0, "pessimism", pessimism, "above 0")
        slots = discriminator.list_length
        require(slots == evaluator.list_length, "list_length", slots, str(evaluator.list_length))
        self.evaluator, self.discriminator, self.pessimism = evaluator, discriminator, pessimism
        self.list_length = evaluator.list_length

    @property
    def members(self) -> list[LookaheadEvaluator]:
        """Those of the evaluator."""
        return self.evaluator.members

    def levels(self, static: Tensor, items: Tensor) -> Tensor:
        """Returns the evaluator's probability that the first t clicks reach k, [b, t, L]."""
        return self.evaluator.levels(static, items)

    def project(self, static: Tensor, candidates: Tensor) -> Tensor:
        """Returns the vectors of each candidate for both, side by side, [b, n, w]."""
        both = self.evaluator.project(static, candidates), self.discriminator.project(static, candidates)
        return torch.cat(both, -1)

    def values_of(self, vectors: Tensor, past: Cache | None = None) -> Tensor:
        """Returns the value of every prefix, [b, t], as `Evaluator.values_of`."""
        own, other = self._vectors(vectors)
        before, beside = self._caches(past) if past else (None, None)
        closeness = self.discriminator.values_of(other, beside)
        return self.evaluator.values_of(own, before) + self.pessimism * closeness

    def extend(self, vectors: Tensor, cache: Cache, slot: int) -> tuple[Tensor, Cache]:
        """Values alternatives for the next slot, [p, m], as `Evaluator.extend`."""
        own, other = self._vectors(vectors)
        before, beside = self._caches(cache)
        values, grown = self.evaluator.extend(own, before, slot)
        closeness, stored = self.discriminator.extend(other, beside, slot)
        return values + self.pessimism * closeness, [*grown, *stored]

    def empty_cache(self, prefixes: int, like: Tensor) -> Cache:
        """Returns the caches of empty prefixes of both."""
        return [
            *self.evaluator.empty_cache(prefixes, like),
            *self.discriminator.empty_cache(prefixes, like),
        ]

    def _vectors(self, vectors: Tensor) -> tuple[Tensor, Tensor]:
        width = self.discriminator.vector_width
        return vectors[..., :-width].contiguous(), vectors[..., -width:].contiguous()

    def _caches(self, cache: Cache) -> tuple[Cache, Cache]:
        stored = self.discriminator.layers_cached
        return cache[:-stored], cache[-stored:]
