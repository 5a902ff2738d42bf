"""A Lookahead Evaluator that predicts the click of each slot; a prefix is worth the sum over its slots."""

import torch
from torch import Tensor

from degre_pipeline.reranker.losses import slot_click_loss, slot_click_surprise
from degre_pipeline.reranker.models.evaluator import Cache, LookaheadEvaluator


class SlotClickEvaluator(LookaheadEvaluator):
    """Causal Transformer whose row t says whether slot t is clicked, given the first t items.

    The expected clicks of a prefix are the sum of its slots' probabilities, whether or not clicks depend on
    one another. What the cumulative head has to tell from the clicks of all slots before, a difference of
    two counts, is learned from one click here, with less noise. Logits have one column, [b, t, 1].
    What the slots of a prefix are worth is cached behind the keys and values of its layers.
    Differs: DeGRe (arXiv 2605.25749), 4.1, learns the levels of the cumulative clicks, Eq. 7.
    """

    def list_loss(self, logits: Tensor, clicks: Tensor, mask: Tensor) -> Tensor:
        """Returns the loss of exposed lists; see `slot_click_loss`."""
        return slot_click_loss(logits[..., 0], clicks, mask)

    def surprise(self, logits: Tensor, clicks: Tensor, mask: Tensor) -> Tensor:
        """Returns -log P(clicks) of every exposed list, [b]; see `slot_click_surprise`."""
        return slot_click_surprise(logits[..., 0], clicks, mask)

    def levels(self, static: Tensor, items: Tensor) -> Tensor:
        """Returns the probability that the clicks among the first t items reach k, [b, t, L].

        Clicks count as independent given the list; only these levels depend on that, not the values.
        """
        return clicks_reach(self(static, items)[..., 0].sigmoid(), self.list_length)

    def values_of(self, vectors: Tensor, past: Cache | None = None) -> Tensor:
        """Returns the expected clicks of every prefix, [b, t]; see `Evaluator`."""
        worth = self.worth(self.logits_of(vectors, past[:-1] if past else None)[..., 0])
        values = worth.cumsum(-1)
        return values + _worth_before(past) if past else values

    def extend(self, vectors: Tensor, cache: Cache, slot: int) -> tuple[Tensor, Cache]:
        """Values alternatives for the next slot, [p, m]; see `Evaluator`."""
        logits, own = self.step(vectors, cache[:-1], slot)
        worth = self.worth(logits)
        return worth[..., 0] + _worth_before(cache), [*own, (worth, worth)]

    def worth(self, logits: Tensor) -> Tensor:
        """Returns what the slots of a prefix add to its value: the probability of a click."""
        return logits.sigmoid()

    def empty_cache(self, prefixes: int, like: Tensor) -> Cache:
        """Returns the cache of empty prefixes, on the device and in the type of a tensor."""
        none = like.new_empty(prefixes, 0, 1)
        return [*super().empty_cache(prefixes, like), (none, none)]


def _worth_before(cache: Cache) -> Tensor:
    """Returns the value of the cached prefixes, [p, 1]."""
    return cache[-1][0].sum(1)


def clicks_reach(clicks: Tensor, most: int, goes_on: Tensor | None = None) -> Tensor:
    """Returns the probability that the first t of independent clicks reach k, [..., t, most].

    Args:
        clicks: Probability of each by who looks at its slot, [..., t].
        most: Largest k, at least t.
        goes_on: Probability of looking at the next slot, too, [..., t]; None where nobody leaves.
    """
    looking = torch.cat([torch.ones_like(clicks[..., :1]), clicks.new_zeros(*clicks.shape[:-1], most)], -1)
    left = torch.zeros_like(looking)
    stays = torch.ones_like(clicks) if goes_on is None else goes_on
    reached = []
    for click, stay in zip(clicks.unsqueeze(-1).unbind(-2), stays.unsqueeze(-1).unbind(-2), strict=True):
        one_more = torch.cat([torch.zeros_like(click), looking[..., :-1]], -1)
        looking = (1 - click) * looking + click * one_more
        reached.append((looking + left).flip(-1).cumsum(-1).flip(-1)[..., 1:])
        looking, left = stay * looking, left + (1 - stay) * looking
    return torch.stack(reached, -2)
