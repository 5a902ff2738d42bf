"""A Lookahead Evaluator that sees what stands below a slot when it predicts its click."""

import torch
from torch import Tensor
from torch.nn import functional

from degre_pipeline.reranker.losses import hindsight_click_loss, slot_click_surprise
from degre_pipeline.reranker.models.evaluator import Cache, LookaheadEvaluator, reachable
from degre_pipeline.reranker.models.slot_clicks import clicks_reach


class HindsightEvaluator(LookaheadEvaluator):
    """Causal Transformer whose row t predicts the click of every slot up to t, given the first t items.

    Where users see a whole page, an item changes the clicks of those above it, too, and a slot's click is not
    yet known when its item is placed. Column s of the logits, [b, t, L], is the click of slot s; a prefix is
    worth the sum over its slots, as its last row sees them.
    The offsets of a prefix's items, if any, are cached behind the keys and values of its layers.
    Differs: DeGRe (arXiv 2605.25749), 4.1, learns the levels of the cumulative clicks, Eq. 7; these see as
        much, but say of a list how many clicks it earns and not which.
    """

    def list_loss(self, logits: Tensor, clicks: Tensor, mask: Tensor) -> Tensor:
        """Returns the loss of exposed lists; see `hindsight_click_loss`."""
        return hindsight_click_loss(logits, clicks, mask)

    def surprise(self, logits: Tensor, clicks: Tensor, mask: Tensor) -> Tensor:
        """Returns -log P(clicks) of every exposed list, [b], as its last filled slot sees it."""
        last = (mask.sum(1) - 1).clamp(min=0)
        seen = logits[torch.arange(len(logits), device=logits.device), last, : mask.shape[1]]
        return slot_click_surprise(seen, clicks, mask)

    def levels(self, static: Tensor, items: Tensor) -> Tensor:
        """Returns the probability that the clicks among the first t items reach k, [b, t, L].

        Clicks count as independent given the list; only these levels depend on that, not the values.
        """
        logits: Tensor = self(static, items)
        clicks = logits.sigmoid() * reachable(self.list_length, logits.device)[: logits.shape[1]]
        return clicks_reach(clicks, self.list_length)[..., -1, :]

    def logits_of(self, vectors: Tensor, past: Cache | None = None) -> Tensor:
        """Returns the logits of the clicks of all slots, [b, t, L]; `past` as in `values_of`."""
        layers, earlier = (past, None) if past is None or self.offsets is None else (past[:-1], past[-1][0])
        x, offsets = self.encoded(vectors, layers)
        if offsets is None:
            return self.head_logits(x)
        known = offsets if earlier is None else torch.cat([earlier, offsets], 1)
        return self.head_logits(x, self._by_slot(known.transpose(1, 2)))

    def step(self, vectors: Tensor, cache: Cache, slot: int) -> tuple[Tensor, Cache]:
        """Scores alternatives for the next slot, [p, m, L]; see `LookaheadEvaluator.step`."""
        if self.offsets is None:
            return super().step(vectors, cache, slot)
        x, offsets, own = self.encoded_step(vectors, cache[:-1], slot)
        assert offsets is not None
        earlier = cache[-1][0].transpose(1, 2).expand(-1, offsets.shape[1], -1)
        by_slot = self._by_slot(torch.cat([earlier, offsets], -1))
        return self.head_logits(x, by_slot), [*own, (offsets, offsets)]

    def _by_slot(self, offsets: Tensor) -> Tensor:
        """Returns the offsets of the first slots as columns of all slots, [..., L]."""
        return functional.pad(offsets, (0, self.list_length - offsets.shape[-1]))

    def empty_cache(self, prefixes: int, like: Tensor) -> Cache:
        """Returns the cache of empty prefixes, on the device and in the type of a tensor."""
        cache = super().empty_cache(prefixes, like)
        if self.offsets is None:
            return cache
        none = like.new_empty(prefixes, 0, 1)
        return [*cache, (none, none)]
