"""What a log can say of another order than the one it showed, and which evaluator may learn from it."""

import torch
from torch import Tensor

from degre_pipeline.reranker.requests import Requests

LEAST_COVERAGE = 0.8
"""Of slots by a log: below it, effects of slots and of scores are not told apart."""

RARE = 0.1
"""A rank counts as seen in a slot where it gets there a tenth as often as in random lists, or in part."""


def by_score(requests: Requests) -> Tensor:
    """Returns the candidates by ranking score, the highest first, ties by index, padding last, [b, n]."""
    score = requests.scores.masked_fill(~requests.mask, float("-inf"))
    return score.argsort(dim=1, descending=True, stable=True)


def ranking_order(requests: Requests) -> Tensor:
    """Returns the L candidates with the highest ranking score, ties by index, [b, L]; -1 where none is."""
    order = by_score(requests)[:, : requests.list_length]
    return order.masked_fill(~requests.mask.gather(1, order), -1)


def score_ranks(requests: Requests) -> Tensor:
    """Returns the place of every candidate by its ranking score, from 0, ties by index, [b, n]."""
    return by_score(requests).argsort(dim=1)


def shown_ranks(requests: Requests) -> Tensor:
    """Returns the place by ranking score of the item in every slot, [b, t]; 0 in empty slots."""
    return score_ranks(requests).gather(1, requests.exposed).masked_fill(~requests.exposed_mask, 0)


def in_ranking_order(requests: Requests) -> Tensor:
    """Returns whether a request was shown just its candidates of the highest scores, in order, [b]."""
    slots = torch.arange(requests.list_length, device=requests.exposed.device)
    return ((shown_ranks(requests) == slots) | ~requests.exposed_mask).all(1)


def order_entropy(order: Tensor, shown: Tensor) -> float:
    """Returns the entropy of the slot given the place in another order of the same items, over its most.

    0: the slot follows from the place. 1: it has nothing to do with it, or every list has one item.

    Args:
        order: A number for the item of each slot by which the items of a list are ordered, [b, t].
        shown: True in filled slots, [b, t].
    """
    places = order.double().masked_fill(~shown, float("inf")).argsort(dim=1, stable=True).argsort(dim=1)
    size = order.shape[1]
    slots = torch.arange(size, device=order.device).expand_as(places)
    counts = torch.bincount((places * size + slots)[shown], minlength=size**2).view(size, size).double()
    joint = counts / counts.sum()
    most = _entropy(joint.sum(0))
    return ((_entropy(joint) - _entropy(joint.sum(1))) / most).item() if most > 0 else 1.0


def _entropy(probabilities: Tensor) -> Tensor:
    return -torch.xlogy(probabilities, probabilities).sum()


def slot_entropy(requests: Requests) -> float:
    """Returns how much slots vary given the ranking score, or given the order handed over if that says more.

    Both are orders of the shown items alone; see `order_entropy`.
    """
    orders = (shown_ranks(requests), requests.exposed)
    return min(order_entropy(order, requests.exposed_mask) for order in orders)


def placements(requests: Requests, places: Tensor) -> Tensor:
    """Returns the share of requests that show the candidate of a place in a slot, [n, t].

    Of the requests that have a candidate of that place.

    Args:
        requests: b requests.
        places: Of the item in every slot in some order of the candidates, from 0, [b, t].
    """
    n, slots = requests.mask.shape[1], requests.list_length
    slot = torch.arange(slots, device=places.device)
    cells = (places * slots + slot)[requests.exposed_mask]
    counts = torch.bincount(cells, minlength=n * slots).view(n, slots).double()
    return counts / _requests_with(requests).clamp(min=1)[:, None]


def _requests_with(requests: Requests) -> Tensor:
    """Returns how many requests have more than so many candidates, [n]."""
    n = requests.mask.shape[1]
    sizes = torch.bincount(requests.mask.sum(1), minlength=n + 1)
    return sizes.flip(0).cumsum(0).flip(0)[1:]


def slot_coverage(requests: Requests) -> float:
    """Returns how far the log shows every rank in every slot, from 0 to 1, what random lists reach.

    A slot counts for a rank by how often the log shows it there, in full from a tenth of what random lists
    would. Of the orders by ranking score and as handed over, the one that says more about slots is taken.
    """
    orders = (shown_ranks(requests), requests.exposed)
    return min(_covered(placements(requests, places), requests) for places in orders)


def _covered(placed: Tensor, requests: Requests) -> float:
    counts = requests.mask.sum(1).double()
    at_random = (1 / counts).mean()
    some = _requests_with(requests) > 0
    return (placed[some] / (RARE * at_random)).clamp(max=1).mean().item()


def varies(requests: Requests) -> bool:
    """Returns whether slots vary enough, given the score, to tell effects of slots from those of scores."""
    return slot_coverage(requests) >= LEAST_COVERAGE
