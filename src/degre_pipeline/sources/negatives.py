"""Sampled negatives: items a user never met, drawn in proportion to a power of their popularity."""

import numpy as np
from numpy.typing import NDArray

_EMPTY = -1


def sample_negatives(
    met: NDArray[np.bool_],
    owner: NDArray[np.int64],
    weights: NDArray[np.float64],
    count: int,
    generator: np.random.Generator,
) -> NDArray[np.int64]:
    """Draws for every request items its user never met, without replacement within the request.

    Each draw is proportional to the weight among the items still allowed: a draw from all items is
    repeated until it hits an allowed one, which gives the same distribution.

    Args:
        met: True where a user met an item, [users, items].
        owner: The row of `met` of each request's user, [requests].
        weights: Weight of each item, not negative, [items]; an item of weight 0 is never drawn.
        count: Draws for each request.
        generator: Source of randomness.
    Returns: Item positions, [requests, count].
    Raises: ValueError if a user has fewer than `count` items that may be drawn.
    Source: negative sampling of word2vec (arXiv 1310.4546), section 2.2. Differs: without replacement.
    """
    _check_supply(met[:, weights > 0], owner, count)
    cumulative = np.cumsum(weights / weights.sum())
    cumulative[np.flatnonzero(weights)[-1] :] = 1.0
    chosen = np.full((len(owner), count), _EMPTY, dtype=np.int64)
    for column in range(count):
        pending = np.arange(len(owner))
        while len(pending):
            drawn = np.searchsorted(cumulative, generator.random(len(pending)), side="right")
            is_repeated = (chosen[pending, :column] == drawn[:, None]).any(axis=1)
            is_allowed = ~met[owner[pending], drawn] & ~is_repeated
            chosen[pending[is_allowed], column] = drawn[is_allowed]
            pending = pending[~is_allowed]
    return chosen


def _check_supply(met: NDArray[np.bool_], owner: NDArray[np.int64], count: int) -> None:
    users = np.unique(owner)
    supply = met.shape[1] - met[users].sum(axis=1)
    if len(users) and supply.min() < count:
        raise ValueError(
            f"A request needs {count} items its user never met, but one user has only {supply.min()} "
            f"of the {met.shape[1]} items that occur in training."
        )
