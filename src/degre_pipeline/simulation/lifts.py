"""Ratios of an experiment's arms and their lifts, with intervals that resample users."""

from typing import NamedTuple

import numpy as np

from degre_pipeline.reranker.metrics import unit_draws
from degre_pipeline.simulation.click_world import FloatArray, IntArray


class Interval(NamedTuple):
    """A figure with its 95% percentile bootstrap interval; an end is NaN where a resample has no figure."""

    value: float
    low: float
    high: float


def user_weights(users: int, *, samples: int, seed: int) -> FloatArray:
    """Returns how often each user of an arm counts: once, then as drawn in each resample, [1 + s, u].

    Users are what was split between the arms, and the requests of one user are alike: so users are drawn
    again, not requests.

    Args:
        users: Users of the arm, u.
        samples: Resamples, s.
        seed: Of the draw.
    Raises: ValueError: If there is no user.
    """
    if users == 0:
        raise ValueError("an arm has 0 users; allowed: 1 or more, so give more users or another salt")
    draws = unit_draws(users, samples=samples, seed=seed)
    return np.stack([np.ones(users), *(np.bincount(drawn, minlength=users) for drawn in draws)])


def totals(weights: FloatArray, user: IntArray, column: FloatArray) -> FloatArray:
    """Returns the sum of a column over requests, in the arm as it is and in each resample, [1 + s].

    Args:
        weights: From `user_weights`, [1 + s, u].
        user: Place of each request's user among the u, [r].
        column: What is summed, [r].
    """
    summed: FloatArray = weights @ np.bincount(user, weights=column, minlength=weights.shape[1])
    return summed


def ratios(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    """Returns the quotient of two totals, [1 + s]; NaN where the denominator is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        quotient: FloatArray = np.where(denominator > 0, numerator / denominator, np.nan)
    return quotient


def level(arm: FloatArray) -> Interval:
    """Returns an arm's ratio, [1 + s], with its interval."""
    low, high = np.quantile(arm[1:], [0.025, 0.975])
    return Interval(float(arm[0]), float(low), float(high))


def lift(arm: FloatArray, control: FloatArray) -> Interval:
    """Returns by which share an arm's ratio exceeds another arm's, [1 + s] each; 0.03 is 3% more.

    The two are of different users and were drawn again independently.
    """
    return level(ratios(arm, control) - 1)
