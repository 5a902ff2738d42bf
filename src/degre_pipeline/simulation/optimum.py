"""The exact best list of the click world, by dynamic programming over sets of candidates."""

from __future__ import annotations

from itertools import combinations
from math import comb
from typing import NamedTuple

import numpy as np

from degre_pipeline.simulation.click_world import Appeal, ClickTruth, FloatArray, IntArray, World, sigmoid

MAX_CANDIDATES = 20
"""All subsets of the candidates are enumerated: 2 ** 20 at most."""

MAX_ORDERS_OF_PAGES = 1 << 24
"""In the world `page`, all subsets of all lists' sets are enumerated: so many at most."""

_TRANSITIONS_PER_CHUNK = 1 << 21


class Level(NamedTuple):
    """The ways to place one more candidate after every candidate set of one size.

    Attributes:
        placed: The candidate placed next, ascending, [m, n - size].
        following: Row of the set with it in the level above, [m, n - size].
        earlier: The set as bits, [m, 1].
    """

    placed: IntArray
    following: IntArray
    earlier: IntArray


def best_lists(
    truth: ClickTruth, list_length: int, discount: FloatArray | None = None
) -> tuple[IntArray, FloatArray]:
    """The list of highest (discounted) expected clicks of every request, and that value.

    Where what a user does at a slot depends on the earlier items, it does so through their set alone, and so
    does the best continuation, found from the last slot backwards. In the world `page` it depends on the
    whole set, and the best order of every set is found. Ties fall to the candidate of lowest index.

    Args:
        truth: The click world, r requests of n candidates.
        list_length: Slots to fill, t. A request with fewer candidates gets a shorter list.
        discount: Non-negative factor of each slot's probability, [t]; for example 1 / log2(slot + 1).
    Returns: Candidate indices [r, t], -1 for empty slots, and the value [r] in (discounted) clicks.
    Raises: ValueError for too many candidates, a list longer than the candidates or a wrong discount.
    """
    candidates = truth.categories.shape[1]
    weights = np.ones(list_length) if discount is None else np.asarray(discount, dtype=np.float64)
    _check_arguments(truth.world, candidates, list_length, weights)
    if truth.world == "page":
        return _best_pages(truth, weights)
    levels = _levels(candidates, list_length)
    step = max(1, _TRANSITIONS_PER_CHUNK // max(level.placed.size for level in levels))
    sequences = np.full((len(truth.request_id), list_length), -1, dtype=np.int64)
    values = np.zeros(len(truth.request_id))
    appeal = truth.appeal()
    for start in range(0, len(sequences), step):
        rows = slice(start, start + step)
        sequences[rows], values[rows] = _solve(truth, appeal.take(rows), levels, weights)
    return sequences, values


def _levels(candidates: int, list_length: int) -> list[Level]:
    """Transitions from the sets of every size below `list_length`."""
    sets = np.arange(1 << candidates, dtype=np.int64)
    sizes = np.bitwise_count(sets)
    row_of = np.zeros(len(sets), dtype=np.int64)
    for size in range(list_length + 1):
        row_of[sizes == size] = np.arange((sizes == size).sum())
    levels = []
    for size in range(list_length):
        members = sets[sizes == size, None]
        free = ~members >> np.arange(candidates) & 1
        placed = np.nonzero(free)[1].reshape(-1, candidates - size)
        levels.append(Level(placed, row_of[members | 1 << placed], members))
    return levels


def _solve(
    truth: ClickTruth, appeal: Appeal, levels: list[Level], weights: FloatArray
) -> tuple[IntArray, FloatArray]:
    """Returns the best list of every request, from the value of what may follow every set."""
    to_come = np.zeros((len(appeal.logits), 1))
    choices = []
    for slot in reversed(range(len(levels))):
        level = levels[slot]
        placed = appeal.take((slice(None), level.placed))
        logits = truth.click_logits(level.earlier, slot, placed)
        following = to_come[:, level.following] if slot + 1 < len(levels) else 0.0
        gained = weights[slot] * sigmoid(logits) + truth.going_on(logits) * following
        gained = np.where(np.isneginf(placed.logits), -np.inf, gained)
        choices.append(gained.argmax(axis=2))
        best = gained.max(axis=2)
        to_come = np.where(np.isneginf(best), 0.0, best)
    return _follow(appeal, levels, choices[::-1]), to_come[:, 0]


def _follow(appeal: Appeal, levels: list[Level], choices: list[IntArray]) -> IntArray:
    """Follows each request's choices from the empty set."""
    requests = np.arange(len(appeal.logits))
    sequences = np.full((len(requests), len(levels)), -1, dtype=np.int64)
    current: IntArray = np.zeros(len(requests), dtype=np.int64)
    lengths = np.minimum(len(levels), np.isfinite(appeal.logits).sum(axis=1))
    for slot, (level, choice) in enumerate(zip(levels, choices, strict=True)):
        option = choice[requests, current]
        sequences[:, slot] = np.where(slot < lengths, level.placed[current, option], -1)
        current = level.following[current, option]
    return sequences


def _best_pages(truth: ClickTruth, weights: FloatArray) -> tuple[IntArray, FloatArray]:
    """Returns the best list and its value where an item's company is the rest of the list."""
    appeal = truth.appeal()
    lengths = np.minimum(len(weights), np.isfinite(appeal.logits).sum(axis=1))
    sequences = np.full((len(lengths), len(weights)), -1, dtype=np.int64)
    values = np.zeros(len(lengths))
    for length in range(1, len(weights) + 1):
        sets = np.array(list(combinations(range(appeal.logits.shape[1]), length)))
        step = max(1, _TRANSITIONS_PER_CHUNK // (len(sets) << length))
        of_length = np.flatnonzero(lengths == length)
        for start in range(0, len(of_length), step):
            rows = of_length[start : start + step]
            gains = _gains_of_pages(truth, appeal.take(rows), sets, weights)
            worth = _worth_of_subsets(gains)
            page = worth[..., -1].argmax(axis=1)
            one = np.arange(len(rows)), page
            order = _best_order(gains[one], worth[one])
            values[rows] = worth[..., -1][one]
            sequences[rows, :length] = np.take_along_axis(sets[page], order, axis=1)
    return sequences, values


def _gains_of_pages(truth: ClickTruth, appeal: Appeal, sets: IntArray, weights: FloatArray) -> FloatArray:
    """Returns what every member of every set earns in every slot, [r, sets, size, slots]."""
    bits = 1 << sets
    others = np.bitwise_or.reduce(bits, axis=1, keepdims=True) ^ bits
    placed = appeal.take((slice(None), sets))
    slots = range(sets.shape[1])
    gains = [weights[slot] * sigmoid(truth.click_logits(others, slot, placed)) for slot in slots]
    found: FloatArray = np.stack(gains, axis=-1)
    return np.where(np.isneginf(placed.logits)[..., None], -np.inf, found)


def _worth_of_subsets(gains: FloatArray) -> FloatArray:
    """Returns the most that every subset of a set earns in the first slots, [..., 2 ** size]."""
    size = gains.shape[-1]
    worth = np.zeros((*gains.shape[:-2], 1 << size))
    for subset in range(1, 1 << size):
        members = [member for member in range(size) if subset >> member & 1]
        last = len(members) - 1
        options = [worth[..., subset ^ 1 << member] + gains[..., member, last] for member in members]
        worth[..., subset] = np.maximum.reduce(options)
    return worth


def _best_order(gains: FloatArray, worth: FloatArray) -> IntArray:
    """Returns the best order of one set's members for each request, [r, size], from its last slot."""
    rows, size = np.arange(len(gains)), gains.shape[-1]
    order: IntArray = np.zeros((len(gains), size), dtype=np.int64)
    left: IntArray = np.full(len(gains), (1 << size) - 1)
    bits = 1 << np.arange(size)
    for slot in reversed(range(size)):
        free = left[:, None] & bits != 0
        options = worth[rows[:, None], left[:, None] & ~bits] + gains[:, :, slot]
        order[:, slot] = np.where(free, options, -np.inf).argmax(axis=1)
        left = left & ~bits[order[:, slot]]
    return order


def _check_arguments(world: World, candidates: int, list_length: int, weights: FloatArray) -> None:
    if candidates > MAX_CANDIDATES:
        raise ValueError(f"truth has {candidates} candidates a request; allowed are at most {MAX_CANDIDATES}")
    orders = comb(candidates, list_length) << list_length
    if world == "page" and orders > MAX_ORDERS_OF_PAGES:
        raise ValueError(
            f"lists of {list_length} of {candidates} candidates have {orders} subsets of their items; "
            f"allowed are at most {MAX_ORDERS_OF_PAGES} in the world page"
        )
    if not 1 <= list_length <= candidates:
        raise ValueError(
            f"list_length is {list_length}; allowed are 1 to {candidates}, the number of candidates"
        )
    if weights.shape != (list_length,) or not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise ValueError(
            f"discount is {weights.tolist()}; allowed are {list_length} finite non-negative factors"
        )
