"""A Lookahead Evaluator for users who leave: whether a slot is looked at, and whether it is clicked then."""

import torch
from torch import Tensor

from degre_pipeline.reranker.losses import survival_click_loss, survival_surprise
from degre_pipeline.reranker.models.evaluator import Cache, LookaheadEvaluator
from degre_pipeline.reranker.models.slot_clicks import clicks_reach


class SurvivalEvaluator(LookaheadEvaluator):
    """Causal Transformer whose row t says whether slot t is clicked if looked at, and whether users go on.

    Logits have two columns, [b, t, 2]: the click of slot t by who looks at it, and going on to the next slot.
    A prefix is worth the sum of its slots' clicks, each times the chance that the user came so far. Where
    users left is not observed: the loss sums over all slots after the last click.
    What each slot of a prefix earns, and the chance of going on from it, are cached behind the keys and
    values of its layers.
    Source: SWIM (CIKM 2026), after third parties' notes: a list is worth the sum of rewards, each times the
        product of the chances of going on. Differs: where users left is summed over, as in the dynamic
        Bayesian network of Chapelle and Zhang (WWW 2009), because click logs do not say it.
    """

    def list_loss(self, logits: Tensor, clicks: Tensor, mask: Tensor) -> Tensor:
        """Returns the loss of exposed lists; see `survival_click_loss`."""
        return survival_click_loss(logits, clicks, mask)

    def surprise(self, logits: Tensor, clicks: Tensor, mask: Tensor) -> Tensor:
        """Returns -log P(clicks) of every exposed list, [b]; see `survival_surprise`."""
        return survival_surprise(logits, clicks, mask)

    def levels(self, static: Tensor, items: Tensor) -> Tensor:
        """Returns the probability that the clicks among the first t items reach k, [b, t, L]."""
        clicked, goes_on = self(static, items).sigmoid().unbind(-1)
        return clicks_reach(clicked, self.list_length, goes_on)

    def values_of(self, vectors: Tensor, past: Cache | None = None) -> Tensor:
        """Returns the expected clicks of every prefix, [b, t]; see `Evaluator`."""
        clicked, goes_on = self.logits_of(vectors, past[:-1] if past else None).sigmoid().unbind(-1)
        reached = torch.cat([torch.ones_like(goes_on[:, :1]), goes_on[:, :-1]], 1).cumprod(1)
        if past is None:
            return (reached * clicked).cumsum(1)
        earned, came = _so_far(past)
        return earned + (came * reached * clicked).cumsum(1)

    def extend(self, vectors: Tensor, cache: Cache, slot: int) -> tuple[Tensor, Cache]:
        """Values alternatives for the next slot, [p, m]; see `Evaluator`."""
        logits, own = self.step(vectors, cache[:-1], slot)
        clicked, goes_on = logits.sigmoid().split(1, -1)
        earned, came = _so_far(cache)
        gained = came[..., None] * clicked
        return earned + gained[..., 0], [*own, (gained, goes_on)]

    def empty_cache(self, prefixes: int, like: Tensor) -> Cache:
        """Returns the cache of empty prefixes, on the device and in the type of a tensor."""
        none = like.new_empty(prefixes, 0, 1)
        return [*super().empty_cache(prefixes, like), (none, none)]


def _so_far(cache: Cache) -> tuple[Tensor, Tensor]:
    """Returns the expected clicks of the cached prefixes and the chance of coming past them, [p, 1] each."""
    gained, goes_on = cache[-1]
    return gained.sum(1), goes_on.prod(1)
