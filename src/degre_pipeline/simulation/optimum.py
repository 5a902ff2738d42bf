"""The exact best list of the click world, by dynamic programming over sets of candidates."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from degre_pipeline.simulation.click_world import Appeal, ClickTruth, FloatArray, IntArray

MAX_CANDIDATES = 20
"""All subsets of the candidates are enumerated: 2 ** 20 at most."""

_TRANSITIONS_PER_CHUNK = 1 << 21


class Level(NamedTuple):
    """The ways to reach every candidate set of one size by placing one of its members last.

    Attributes:
        last: The member placed last, [m, size].
        previous: Row of the set without it in the level below, [m, size].
        previous_bits: That set as bits, [m, size].
    """

    last: IntArray
    previous: IntArray
    previous_bits: IntArray


def best_lists(
    truth: ClickTruth, list_length: int, discount: FloatArray | None = None
) -> tuple[IntArray, FloatArray]:
    """The list of highest (discounted) expected clicks of every request, and that value.

    A slot's click probability depends on the earlier items only through their set, so the best order of a
    set is found from the best orders of the sets one smaller. Ties fall to the candidate of lowest index.

    Args:
        truth: The click world, r requests of n candidates.
        list_length: Slots to fill, t. A request with fewer candidates gets a shorter list.
        discount: Non-negative factor of each slot's probability, [t]; for example 1 / log2(slot + 1).
    Returns: Candidate indices [r, t], -1 for empty slots, and the value [r] in (discounted) clicks.
    Raises: ValueError for too many candidates, a list longer than the candidates or a wrong discount.
    """
    candidates = truth.categories.shape[1]
    weights = np.ones(list_length) if discount is None else np.asarray(discount, dtype=np.float64)
    _check_arguments(candidates, list_length, weights)
    levels = _levels(candidates, list_length)
    step = max(1, _TRANSITIONS_PER_CHUNK // max(level.last.size for level in levels))
    sequences = np.full((len(truth.request_id), list_length), -1, dtype=np.int64)
    values = np.zeros(len(truth.request_id))
    appeal = truth.appeal()
    for start in range(0, len(sequences), step):
        rows = slice(start, start + step)
        sequences[rows], values[rows] = _solve(truth, appeal.take(rows), levels, weights)
    return sequences, values


def _levels(candidates: int, list_length: int) -> list[Level]:
    """Transitions from the sets of size 0 to those of size `list_length`."""
    sets = np.arange(1 << candidates, dtype=np.int64)
    sizes = np.bitwise_count(sets)
    row_of = np.zeros(len(sets), dtype=np.int64)
    levels = []
    for size in range(1, list_length + 1):
        members = sets[sizes == size]
        last = np.nonzero(members[:, None] >> np.arange(candidates) & 1)[1].reshape(-1, size)
        previous_bits = members[:, None] ^ (1 << last)
        levels.append(Level(last, row_of[previous_bits], previous_bits))
        row_of[members] = np.arange(len(members))
    return levels


def _solve(
    truth: ClickTruth, appeal: Appeal, levels: list[Level], weights: FloatArray
) -> tuple[IntArray, FloatArray]:
    value_of_set = np.zeros((len(appeal.logits), 1))
    set_values, choices = [], []
    for slot, level in enumerate(levels):
        placed = appeal.take((slice(None), level.last))
        gained = weights[slot] * truth.probability_after(level.previous_bits, slot, placed)
        totals = value_of_set[:, level.previous] + np.where(np.isneginf(placed.logits), -np.inf, gained)
        choices.append(totals.argmax(axis=2))
        value_of_set = totals.max(axis=2)
        set_values.append(value_of_set)
    lengths = np.minimum(len(levels), np.isfinite(appeal.logits).sum(axis=1))
    return _trace_back(levels, set_values, choices, lengths)


def _trace_back(
    levels: list[Level], set_values: list[FloatArray], choices: list[IntArray], lengths: IntArray
) -> tuple[IntArray, FloatArray]:
    """Follow each request's best set of its list length back to the empty set."""
    requests = np.arange(len(lengths))
    sequences = np.full((len(lengths), len(levels)), -1, dtype=np.int64)
    values = np.zeros(len(lengths))
    current = np.zeros(len(lengths), dtype=np.int64)
    for slot in reversed(range(len(levels))):
        starts, placed = lengths == slot + 1, lengths > slot
        current = np.where(starts, set_values[slot].argmax(axis=1), current)
        values = np.where(starts, set_values[slot][requests, current], values)
        choice = choices[slot][requests, current]
        sequences[placed, slot] = levels[slot].last[current, choice][placed]
        current = np.where(placed, levels[slot].previous[current, choice], current)
    return sequences, values


def _check_arguments(candidates: int, list_length: int, weights: FloatArray) -> None:
    if candidates > MAX_CANDIDATES:
        raise ValueError(f"truth has {candidates} candidates a request; allowed are at most {MAX_CANDIDATES}")
    if not 1 <= list_length <= candidates:
        raise ValueError(
            f"list_length is {list_length}; allowed are 1 to {candidates}, the number of candidates"
        )
    if weights.shape != (list_length,) or not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise ValueError(
            f"discount is {weights.tolist()}; allowed are {list_length} finite non-negative factors"
        )
