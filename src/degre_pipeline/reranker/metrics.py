"""Metrics of evaluators (R-AUC, GAUC, calibration, …) and of lists (HR@K%, agreement), on numpy arrays."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]

DECIMALS = 6  # of compared values, so that the same list encoded in another batch is a tie, not a loss


@dataclass(frozen=True)
class Estimate:
    """A mean over requests with its percentile bootstrap interval, of 95% unless told otherwise."""

    value: float
    low: float
    high: float


def regression_auc(actual: Array, predicted: Array) -> float:
    """Share of ordered pairs with different outcomes that the prediction orders the same way; ties count 0.

    Args:
        actual: Outcome of each list, [r], such as its clicks.
        predicted: Predicted value, [r].
    Returns: R-AUC in 0..1; NaN where all outcomes are equal.
    Raises: ValueError: If shapes differ or a value is not finite.
    Source: DeGRe (arXiv 2605.25749), Eq. 15. O(n log n) a level of the outcome.
    """
    actual, predicted = _pair(actual, predicted)
    levels = np.unique(actual)
    correct, pairs = 0, 0
    for level in levels[1:]:
        upper, lower = np.sort(predicted[actual == level]), np.sort(predicted[actual < level])
        correct += int(np.searchsorted(lower, upper, side="left").sum())
        pairs += len(upper) * len(lower)
    return correct / pairs if pairs else float("nan")


def pcoc(actual: Array, predicted: Array) -> float:
    """Returns predicted over actual mean, 1 when calibrated; NaN where nothing was observed.

    Source: DeGRe (arXiv 2605.25749), 5.1.3.
    """
    actual, predicted = _pair(actual, predicted)
    return float(predicted.mean() / actual.mean()) if actual.mean() else float("nan")


def rmse(actual: Array, predicted: Array) -> float:
    """Returns the root mean squared error, in clicks a list. Source: DeGRe 5.1.3."""
    actual, predicted = _pair(actual, predicted)
    return float(np.sqrt(np.square(predicted - actual).mean()))


def _pair(actual: Array, predicted: Array) -> tuple[Array, Array]:
    actual, predicted = np.asarray(actual, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    if actual.shape != predicted.shape or actual.ndim != 1 or not len(actual):
        raise ValueError(
            f"shapes are {actual.shape} and {predicted.shape}; allowed: two equal, [r] with r of 1 or more"
        )
    for name, values in (("actual", actual), ("predicted", predicted)):
        if not np.isfinite(values).all():
            raise ValueError(
                f"{name}[{int(np.argmin(np.isfinite(values)))}] is not finite; allowed: finite numbers"
            )
    return actual, predicted


def ranks(list_values: Array, comparison_values: Array) -> NDArray[np.int64]:
    """Returns how many comparison lists are strictly better than the list of each request, [r].

    Args:
        list_values: Value of the list of each request, [r].
        comparison_values: Values of the comparison lists of each request, [r, s].
    """
    better: NDArray[np.int64] = (np.asarray(comparison_values) > np.asarray(list_values)[:, None]).sum(1)
    return better


def hits(rank: NDArray[np.int64], lists: int | NDArray[np.int64], percent: float) -> Array:
    """Returns 1 where a list is among the top `percent` of its comparison lists, else 0, [r].

    Source: DeGRe (arXiv 2605.25749), Eq. 14: rank / lists < percent / 100, strictly.
    """
    return (rank * 100 < percent * lists).astype(np.float64)


def share_of_ties(list_values: Array, comparison_values: Array) -> float:
    """Returns the mean share of comparison lists with exactly the value of the list; ties flatter HR."""
    return float((np.asarray(comparison_values) == np.asarray(list_values)[:, None]).mean())


def bootstrap(
    values: Array,
    *,
    units: NDArray[np.int64] | None = None,
    samples: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Estimate:
    """Returns the mean of finite values over requests with its percentile bootstrap interval.

    Give paired differences to compare two methods. Values of one unit (a user's requests) are alike, so units
    are drawn again with all their values, not values.

    Args:
        values: One a request, [r].
        units: Number of the unit that each request belongs to, [r]; None where every request is one.
        samples: Resamples.
        seed: Of the draw.
        confidence: Of the interval.
    Raises: ValueError: If no value is finite.
    """
    values = np.asarray(values, dtype=np.float64)
    units = np.arange(len(values)) if units is None else np.asarray(units)
    finite = np.isfinite(values)
    if not finite.any():
        raise ValueError("no finite value to average; allowed: one or more")
    _, unit = np.unique(units[finite], return_inverse=True)
    sums, counts = np.bincount(unit, weights=values[finite]), np.bincount(unit)
    draws = unit_draws(len(sums), samples=samples, seed=seed)
    means = np.fromiter((sums[drawn].sum() / counts[drawn].sum() for drawn in draws), np.float64, samples)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Estimate(float(values[finite].mean()), float(low), float(high))


def unit_draws(units: int, *, samples: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Yields the units of each resample: as many as there are, drawn with replacement, [u]."""
    rng = np.random.default_rng(seed)
    for _ in range(samples):
        yield rng.integers(units, size=units)


def bootstrap_ratio(
    parts: Array,
    wholes: Array,
    *,
    units: NDArray[np.int64] | None = None,
    samples: int = 1000,
    seed: int = 0,
) -> Estimate:
    """Returns the sum of one figure over that of another, with its 95% percentile bootstrap interval.

    Args:
        parts: Of each request, [r].
        wholes: Of the same requests, [r]; their sum is above zero.
        units: As of `bootstrap`.
        samples: Resamples.
        seed: Of the draw.
    """
    _, unit = np.unique(np.arange(len(parts)) if units is None else units, return_inverse=True)
    part, whole = np.bincount(unit, weights=parts), np.bincount(unit, weights=wholes)
    draws = unit_draws(len(part), samples=samples, seed=seed)
    ratios = [part[drawn].sum() / max(whole[drawn].sum(), 1e-12) for drawn in draws]
    low, high = np.quantile(ratios, [0.025, 0.975])
    return Estimate(float(part.sum() / whole.sum()), float(low), float(high))


@dataclass(frozen=True)
class CalibrationBin:
    """Lists of similar predictions: their number, mean prediction and mean outcome."""

    count: int
    predicted: float
    actual: float


def calibration(actual: Array, predicted: Array, bins: int = 10) -> list[CalibrationBin]:
    """Returns quantile bins of the prediction with the mean prediction and outcome of each."""
    actual, predicted = _pair(actual, predicted)
    groups = np.array_split(np.argsort(predicted, kind="stable"), min(bins, len(actual)))
    return [CalibrationBin(len(g), float(predicted[g].mean()), float(actual[g].mean())) for g in groups]


def area_under_roc(actual: Array, scores: Array) -> float:
    """Returns the AUC of scores for 0/1 outcomes, half credit for ties; NaN where one class is absent."""
    actual, scores = _pair(actual, scores)
    order = np.sort(scores)
    mid_rank = (np.searchsorted(order, scores, "left") + np.searchsorted(order, scores, "right") + 1) / 2
    positives = int(actual.sum())
    negatives = len(actual) - positives
    if not positives or not negatives:
        return float("nan")
    return float((mid_rank[actual == 1].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def group_auc(actual: Array, scores: Array, real: NDArray[np.bool_]) -> Array:
    """Returns the AUC of scores for 0/1 outcomes within each list, half credit for ties.

    Args:
        actual: Outcome of each slot, [r, t].
        scores: [r, t].
        real: False in empty slots, [r, t].
    Returns: [r]; NaN for a list of one outcome only. Their mean is GAUC.
    Source: Zhu et al., Optimized Cost per Click in Taobao Display Advertising (KDD 2017); here every list
        weighs the same.
    """
    positive, negative = (real & (actual == outcome) for outcome in (1, 0))
    pairs = positive[:, :, None] & negative[:, None, :]
    above = scores[:, :, None] - scores[:, None, :]
    won = ((above > 0) + 0.5 * (above == 0)) * pairs
    count = pairs.sum((1, 2))
    auc: Array = won.sum((1, 2)) / np.where(count > 0, count, np.nan)
    return auc


def rank_correlation(one: Array, other: Array) -> Array:
    """Returns Spearman's correlation within each request, [r], of two judges' values of its lists, [r, s].

    NaN where a judge gives all lists the same value.
    """
    first, second = (_mid_ranks(np.asarray(values, dtype=np.float64)) for values in (one, other))
    first, second = first - first.mean(1, keepdims=True), second - second.mean(1, keepdims=True)
    scale = np.sqrt((first**2).sum(1) * (second**2).sum(1))
    with np.errstate(invalid="ignore"):
        correlation: Array = (first * second).sum(1) / np.where(scale > 0, scale, np.nan)
    return correlation


def _mid_ranks(values: Array) -> Array:
    ordered = np.sort(values, axis=1)
    pairs = zip(ordered, values, strict=True)
    return np.stack([np.searchsorted(o, v, "left") + np.searchsorted(o, v, "right") for o, v in pairs]) / 2


def discounted_gain(slot_gains: Array) -> Array:
    """Returns DCG of the gains by slot, [..., t], with the discount 1 / log2(slot + 1)."""
    gain: Array = (np.asarray(slot_gains) * discounts(np.shape(slot_gains)[-1])).sum(-1)
    return gain


def discounts(slots: int) -> Array:
    """Returns 1 / log2(slot + 1) for slots counted from one, [t]."""
    return 1 / np.log2(np.arange(2, slots + 2))


def ndcg(slot_gains: Array) -> Array:
    """Returns NDCG of observed gains (clicks) of each list, [r], of [r, t]; NaN for a list without gain."""
    gains = np.asarray(slot_gains, dtype=np.float64)
    ideal = discounted_gain(-np.sort(-gains, axis=-1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(ideal > 0, discounted_gain(gains) / ideal, np.nan)
