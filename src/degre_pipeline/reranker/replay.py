"""What logged clicks say of other lists of the same requests: where these put the items that were clicked."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from degre_pipeline.reranker.metrics import Array, Estimate, bootstrap_ratio
from degre_pipeline.reranker.requests import Requests
from degre_pipeline.reranker.support import by_score, placements, score_ranks, shown_ranks

LEAST_PROPENSITY = 0.02
"""A click counts at most fifty times."""
_ROUNDS = 200


def places_of_shown(lists: Tensor, requests: Requests) -> Tensor:
    """Returns the slot, from 1, in which a list has each shown item; 0 where it leaves it out, [b, t].

    Args:
        lists: Candidate indices, [b, L]; -1 in empty slots.
        requests: b requests.
    """
    slots = torch.arange(1, lists.shape[1] + 1)
    same = requests.shown[:, :, None] == lists.masked_fill(lists < 0, -2)[:, None, :]
    return (same * slots).sum(-1)


def places_among_shown(lists: Tensor, requests: Requests) -> Tensor:
    """Returns the places, from 1, of the shown items if they alone are put in a list's order, [b, t].

    Those that the list leaves out follow in the order in which they were shown.
    """
    places, slots = places_of_shown(lists, requests), requests.list_length
    last = slots + 1 + torch.arange(slots)
    order = torch.where(places > 0, places, last).masked_fill(~requests.exposed_mask, 3 * slots)
    return order.argsort(dim=1, stable=True).argsort(dim=1) + 1


def click_metrics(places: Tensor, clicks: Tensor) -> dict[str, Array]:
    """Returns hit@1, hit@3, hit@k, MRR and NDCG of logged clicks by request, [b]; NaN without a click.

    hit@k asks for any clicked item among the first k, for all slots of the list in `hit_k`; MRR takes the
    first one.

    Args:
        places: Of the shown items in a list, from 1; 0 where it leaves one out, [b, t].
        clicks: 1 for a clicked one, [b, t].
    """
    clicked = clicks > 0
    kept = clicked & (places > 0)
    first = places.masked_fill(~kept, 2**31).amin(1).double()
    gain = (kept / torch.log2(1.0 + places.clamp(min=1))).sum(1).double()
    slots = torch.arange(1, clicks.shape[1] + 1)
    best = ((slots <= clicked.sum(1, keepdim=True)) / torch.log2(1.0 + slots)).sum(1).double()
    reached = kept.any(1)
    figures = {
        "hit_1": (first <= 1).double(),
        "hit_3": (first <= 3).double(),
        "hit_k": reached.double(),
        "mrr": reached / first,
        "ndcg": gain / best.clamp(min=1e-9),
    }
    return {name: np.where(clicked.any(1), figure.numpy(), np.nan) for name, figure in figures.items()}


def examination(requests: Requests) -> Array:
    """Returns the chance that a slot is looked at, over that of the first, [t], fitted on logged clicks.

    What an item's rank and its slot do is told apart where slots vary: click = examination of the slot times
    appeal of the rank, both refitted in turn to the observed clicks.
    Source: the position-based model, Richardson et al., Predicting Clicks (WWW 2007).
    """
    n, slots = requests.mask.shape[1], requests.list_length
    cells = (shown_ranks(requests) * slots + torch.arange(slots))[requests.exposed_mask]
    clicks = requests.clicks[requests.exposed_mask].double()
    shown = torch.bincount(cells, minlength=n * slots).view(n, slots).double()
    clicked = torch.bincount(cells, weights=clicks, minlength=n * slots).view(n, slots)
    looked = torch.ones(slots, dtype=torch.float64)
    for _ in range(_ROUNDS):
        appeal = clicked.sum(1) / (shown @ looked).clamp(min=1e-9)
        looked = clicked.sum(0) / (appeal @ shown).clamp(min=1e-9)
    fitted: Array = (looked / looked[0].clamp(min=1e-9)).numpy()
    return fitted


def click_weights(requests: Requests, log: Requests, examined: Array) -> Tensor:
    """Returns how much a click counts in each slot, [b, t]: the more, the rarer its rank was shown and seen.

    Args:
        requests: b requests.
        log: Requests of the same logging policy, from which it is learned how often a rank gets to a slot.
        examined: Chance that a slot is looked at, [t].
    Source: policy-aware propensities, Oosterhuis and de Rijke (SIGIR 2020), Eq. 6, with a policy that knows
        the rank by score alone.
    """
    seen = placements(log, shown_ranks(log)) @ torch.as_tensor(examined, dtype=torch.float64)
    propensity = seen.clamp(min=LEAST_PROPENSITY)[score_ranks(requests)]
    return 1 / propensity.gather(1, requests.exposed)


def weighted_click_metrics(places: Tensor, clicks: Tensor, weights: Tensor) -> tuple[dict[str, Array], Array]:
    """Returns by request what its clicks earn by hit@1, MRR and DCG, times their weights, and the weights.

    The metric is the sum of the one over the sum of the other. Arguments as of `click_metrics`.
    """
    kept = (clicks * weights * (places > 0)).double()
    place = places.clamp(min=1).double()
    earned = {
        "hit_1": (kept * (places == 1)).sum(1),
        "mrr": (kept / place).sum(1),
        "ndcg": (kept / torch.log2(1 + place)).sum(1),
    }
    total: Array = (clicks * weights).sum(1).double().numpy()
    return {name: one.numpy() for name, one in earned.items()}, total


def order_gains(lists: Tensor, requests: Requests, weights: Tensor) -> tuple[Array, Array]:
    """Returns what the shown items' clicks gain in DCG by a list's order, by request, and their weights, [b].

    Args:
        lists: Candidate indices, [b, L]; -1 in empty slots.
        requests: b requests; what a list leaves out follows in the order in which it was shown.
        weights: Of a click in each slot, [b, t] or [t].
    """
    by_slot = weights.expand_as(requests.clicks)
    own, total = weighted_click_metrics(places_among_shown(lists, requests), requests.clicks, by_slot)
    shown, _ = weighted_click_metrics(places_among_shown(requests.shown, requests), requests.clicks, by_slot)
    return own["ndcg"] - shown["ndcg"], total


def check_borne_out(lists: Tensor, requests: Requests, users: NDArray[np.int64]) -> None:
    """Raises ValueError unless logged clicks of one order speak for lists of another one with certainty.

    Where slots follow the score, clicks favour the shown order, and lists that do not put them higher all the
    same, beyond chance, are not worth a model.

    Args:
        lists: The best lists of requests that nobody learned from, [b, L]; -1 in empty slots.
        requests: These requests.
        users: A number for the user of each, [b].
    """
    gains, total = order_gains(lists, requests, torch.ones(requests.list_length))
    nothing = Estimate(0.0, 0.0, 0.0)
    gain = bootstrap_ratio(gains, total, units=users) if total.sum() else nothing
    if gain.low <= 0:
        raise ValueError(
            f"The logged clicks of {len(requests)} requests, which the mining evaluator did not learn from, "
            f"gain {gain.value:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}] in NDCG by the order of its best "
            "lists; allowed: an interval above 0 where slots follow the score. Nothing certain in this log "
            "speaks for another order than the one it shows, and no generator is trained. Show some lists at "
            "random, give more days, declare features that the score does not know, or set "
            "generator_distillation.distillation.despite_log"
        )


def supported_share(lists: Tensor, requests: Requests, log: Requests, least: float) -> Array:
    """Returns the share of a list's slots whose item's rank the log shows there, by request, [b].

    Args:
        lists: Candidate indices, [b, L]; -1 in empty slots.
        requests: b requests.
        log: From which it is counted how often a rank gets to a slot.
        least: Share of requests that must show the rank in the slot.
    """
    filled, slots = lists >= 0, torch.arange(lists.shape[1])
    ranks = score_ranks(requests).gather(1, lists.clamp(min=0))
    known = (placements(log, shown_ranks(log))[ranks, slots] >= least) & filled
    share: Array = (known.sum(1) / filled.sum(1).clamp(min=1)).double().numpy()
    return share


def rate_order(codes: Tensor, requests: Requests, learned: Tensor, log: Requests) -> Tensor:
    """Returns the candidates by the click rate that a code of theirs had in the log, [b, L]; -1 where empty.

    Ties, as of all that share a code, keep the ranking order.

    Args:
        codes: Of the candidates of some requests, [b, n].
        requests: b requests.
        learned: Codes of the candidates of the log, [l, n].
        log: Requests whose clicks give the rates.
    """
    by_rank = by_score(requests)
    rates = click_rates(codes, learned, log)
    value = rates.masked_fill(~requests.mask, -1.0).gather(1, by_rank)
    order = by_rank.gather(1, value.argsort(dim=1, descending=True, stable=True))[:, : requests.list_length]
    return order.masked_fill(~requests.mask.gather(1, order), -1)


def click_rates(codes: Tensor, learned: Tensor, log: Requests) -> Tensor:
    """Returns the click rate that every code had in the log, [b, n]; one rarely shown is drawn to the mean.

    Args:
        codes: Of the candidates of some requests, [b, n].
        learned: Codes of the candidates of the log, [l, n].
        log: Requests whose clicks give the rates.
    """
    shown = learned.gather(1, log.exposed)[log.exposed_mask].long()
    size = int(max(codes.max(), learned.max())) + 1
    count = torch.bincount(shown, minlength=size).double()
    clicked = torch.bincount(shown, weights=log.clicks[log.exposed_mask].double(), minlength=size)
    mean = clicked.sum() / count.sum()
    return ((clicked + _PRIOR * mean) / (count + _PRIOR))[codes.long()]


_PRIOR = 20.0
