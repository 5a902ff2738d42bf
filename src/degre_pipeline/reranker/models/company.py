"""Lookahead Evaluators without attention: an item by itself, and what the others of its list do to it."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from degre_pipeline.reranker.models.evaluator import Cache, LookaheadEvaluator
from degre_pipeline.reranker.models.feature_layer import FeatureLayer
from degre_pipeline.reranker.models.hindsight import HindsightEvaluator
from degre_pipeline.reranker.models.offsets import ValueOffsets
from degre_pipeline.reranker.models.slot_clicks import SlotClickEvaluator
from degre_pipeline.reranker.models.survival import SurvivalEvaluator
from degre_pipeline.reranker.models.transformer import SlotEmbedding


class SumsOfCompany(LookaheadEvaluator):
    """Logits of an item: its own, its slot's, and what it makes of the sum of the items above it.

    `a(x_t) + s(t) + u(x_t) . tanh(v(x_1) + ... + v(x_{t-1}))`, of item vectors x. An item adds v to the
    company of those below it, channel by channel, and tanh lets a channel fill up: a first item of a kind may
    say all that there is to say. A Transformer can learn the same, and anything else besides; from as many
    lists it errs more, and a search finds where. The rest of an evaluator, such as what its logits mean, is
    its subclass's.

    Vectors of candidates are [a, u, v], [.., c + c r + r] for c logits. The cache of a prefix holds the v of
    its items.
    Source: sums over a set after Zaheer et al., Deep Sets (NeurIPS 2017); products of an item and the others
        after Rendle, Factorization Machines (ICDM 2010). This form is ours.
    Differs: DeGRe (arXiv 2605.25749), 4.1, has a causal Transformer in this place.
    """

    parts_of_an_item = 1
    """How often an item looks at company: at that above it."""

    def __init__(
        self,
        features: FeatureLayer,
        slots: SlotEmbedding,
        alone: nn.Module,
        company: nn.Module,
        *,
        list_length: int,
        columns: int,
        channels: int,
        offsets: ValueOffsets | None = None,
    ) -> None:
        """Build it.

        Args:
            features: Of all fields.
            slots: What each slot adds to the logits, [L, c].
            alone: From an item's vector to its own logits, [.., c].
            company: From an item's vector to all its u, then v, [.., (parts c + 1) r].
            list_length: Slots of a list, L.
            columns: Of the logits, as calibration counts them.
            channels: Width r of the company.
            offsets: Of additive fields, added to the first logit.
        """
        super().__init__(
            features, slots, (), alone, list_length=list_length, columns=columns, offsets=offsets
        )
        self.company, self.channels = company, channels

    def project(self, static: Tensor, candidates: Tensor) -> Tensor:
        """Returns one vector for each candidate, [b, n, w]: its own logits, its u and its v."""
        normed = self.norm(self.features(static, candidates)[0])
        alone: Tensor = self.head(normed)
        if self.offsets is not None:
            offsets = self.offsets(static, candidates)
            alone = alone + functional.pad(offsets, (0, alone.shape[-1] - 1))
        return torch.cat([alone, self.company(normed)], -1)

    def logits_of(self, vectors: Tensor, past: Cache | None = None) -> Tensor:
        """Returns the logits of listed items given those above them, [b, t, c]; `past` as in `values_of`."""
        start = past[0][0].shape[1] if past else 0
        alone, look, give = self._parts(vectors)
        above = give.cumsum(-2) - give
        if past:
            above = above + past[0][0].sum(1, keepdim=True)
        placed = alone + self.slots()[start : start + vectors.shape[1]]
        return self._calibrated(placed + seen(look[0], above[..., None, :]))

    def step(self, vectors: Tensor, cache: Cache, slot: int) -> tuple[Tensor, Cache]:
        """Scores alternatives for the next slot, [p, m, c]; see `LookaheadEvaluator.step`."""
        alone, look, give = self._parts(vectors)
        above = cache[0][0].sum(1)[:, None, None]
        logits = alone + self.slots()[slot] + seen(look[0], above)
        return self._calibrated(logits), [(give, give[..., :0])]

    def empty_cache(self, prefixes: int, like: Tensor) -> Cache:
        """Returns the cache of empty prefixes, on the device and in the type of a tensor."""
        return [(like.new_empty(prefixes, 0, self.channels), like.new_empty(prefixes, 0, 0))]

    def _parts(self, vectors: Tensor) -> tuple[Tensor, list[Tensor], Tensor]:
        """Returns own logits [.., c], the u of every part, each [.., c, r], and v [.., r]."""
        r, parts = self.channels, self.parts_of_an_item
        columns = (vectors.shape[-1] - r) // (1 + parts * r)
        alone, *look, give = vectors.split([columns, *[columns * r] * parts, r], -1)
        return alone, [one.unflatten(-1, (columns, r)) for one in look], give

    def _calibrated(self, logits: Tensor) -> Tensor:
        return logits * self.scale + self.shift


def seen(look: Tensor, company: Tensor) -> Tensor:
    """Returns what items make of company, u . tanh(sum of v), [...], of both [..., r]."""
    return (look * company.tanh()).sum(-1)


class CompanyEvaluator(SlotClickEvaluator, SumsOfCompany):
    """The click of each slot, of an item and the sum of those above it; a prefix is worth their sum."""


class LeavingCompanyEvaluator(SurvivalEvaluator, SumsOfCompany):
    """The click of each slot by who looks at it, and going on, of an item and the sum of those above it."""


class PageCompanyEvaluator(HindsightEvaluator, SumsOfCompany):
    """The click of every slot of a prefix, of an item, the sum of those above it and that of those below.

    An item has another u for what stands below it. The cache holds v and that u of the items of a prefix, and
    their logits but for what stands below.
    """

    parts_of_an_item = 2

    def logits_of(self, vectors: Tensor, past: Cache | None = None) -> Tensor:
        """Returns the logits of the clicks of all slots, [b, t, L]; row t knows the first t items."""
        alone, look, give = self._parts(vectors)
        start = past[0][0].shape[1] if past else 0
        down, above = look[1][..., 0, :], give.cumsum(-2) - give
        if past:
            above = above + past[0][0].sum(1, keepdim=True)
        fixed = self._fixed(alone, look[0], above[..., None, :], slice(start, start + vectors.shape[1]))
        if past:
            give, down = torch.cat([past[0][0], give], 1), torch.cat([past[0][1], down], 1)
            fixed = torch.cat([past[1][0], fixed], 1)
        sums = give.cumsum(1)
        # Row t, column s: what stands below slot s and not below slot t.
        below = sums[:, start:, None] - sums[:, None]
        reached = torch.ones(len(sums[0]), len(sums[0]), dtype=torch.bool, device=sums.device).tril()[start:]
        logits = fixed.transpose(1, 2) + seen(down[:, None], below * reached[..., None])
        return self._calibrated(functional.pad(logits, (0, self.list_length - logits.shape[-1])))

    def step(self, vectors: Tensor, cache: Cache, slot: int) -> tuple[Tensor, Cache]:
        """Scores alternatives for the next slot, [p, m, L]; see `LookaheadEvaluator.step`."""
        alone, look, give = self._parts(vectors)
        (gave, down), (fixed, _) = cache
        own = self._fixed(alone, look[0], gave.sum(1)[:, None, None], slot)
        between = gave.sum(1, keepdim=True) - gave.cumsum(1)
        earlier = fixed[..., 0][:, None] + seen(down[:, None], between[:, None] + give[:, :, None])
        logits = torch.cat([earlier, own], -1)
        found = functional.pad(logits, (0, self.list_length - logits.shape[-1]))
        return self._calibrated(found), [(give, look[1][..., 0, :]), (own, own[..., :0])]

    def empty_cache(self, prefixes: int, like: Tensor) -> Cache:
        """Returns the cache of empty prefixes, on the device and in the type of a tensor."""
        none = like.new_empty(prefixes, 0, self.channels)
        return [(none, none), (like.new_empty(prefixes, 0, 1), like.new_empty(prefixes, 0, 0))]

    def _fixed(self, alone: Tensor, look: Tensor, above: Tensor, slot: int | slice) -> Tensor:
        """Returns logits but for what stands below, [.., 1]."""
        placed: Tensor = alone + self.slots()[slot]
        return placed + seen(look, above)
