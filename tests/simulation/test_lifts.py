"""Ratios and lifts by hand, and intervals that cover what they should."""

import numpy as np
import pytest

from degre_pipeline.simulation.lifts import level, lift, ratios, totals, user_weights


def sampled(rng: np.random.Generator, users: int, taste: float, rate: float = 0.3):
    """Clicks of an arm: users with a rate of their own, ten requests of six slots each."""
    user = np.repeat(np.arange(users), 10)
    own = np.clip(rate + taste * rng.standard_normal(users), 0.02, 0.98)
    return user, rng.binomial(6, own[user]).astype(float), np.full(len(user), 6.0)


def click_through(rng: np.random.Generator, users: int, taste: float, seed: int) -> np.ndarray:
    user, clicks, slots = sampled(rng, users, taste)
    weights = user_weights(users, samples=300, seed=seed)
    return ratios(totals(weights, user, clicks), totals(weights, user, slots))


def test_totals_and_lifts_by_hand():
    # Two users: the first has 1 + 3 clicks, the second 2; the second resample draws the first one twice.
    weights = np.array([[1.0, 1.0], [2.0, 0.0], [0.0, 2.0]])
    user, clicks, slots = np.array([0, 0, 1]), np.array([1.0, 3.0, 2.0]), np.array([6.0, 6.0, 6.0])
    arm = ratios(totals(weights, user, clicks), totals(weights, user, slots))
    assert arm == pytest.approx([6 / 18, 8 / 24, 4 / 12])
    assert level(arm).value == pytest.approx(1 / 3)
    compared = lift(arm, np.array([0.25, 0.25, 0.3]))
    assert compared.value == pytest.approx(1 / 3 / 0.25 - 1)
    assert compared.low == pytest.approx(np.quantile([1 / 3 / 0.25 - 1, 1 / 3 / 0.3 - 1], 0.025))


def test_everybody_counts_once_and_a_resample_has_as_many():
    weights = user_weights(50, samples=20, seed=0)
    assert (weights[0] == 1).all()
    assert (weights.sum(1) == 50).all()
    assert weights[1:].std() > 0.5
    assert np.array_equal(weights, user_weights(50, samples=20, seed=0))


def test_a_group_without_requests_has_no_figure():
    weights = user_weights(3, samples=5, seed=0)
    nothing = totals(weights, np.array([], dtype=np.int64), np.array([]))
    assert all(np.isnan(level(ratios(nothing, nothing))))


def test_an_arm_without_users_is_named():
    with pytest.raises(ValueError, match="an arm has 0 users; allowed: 1 or more"):
        user_weights(0, samples=5, seed=0)


def test_intervals_cover_no_difference_nineteen_times_in_twenty():
    """Users differ much, so that intervals over requests would miss 0 far more often."""
    rng = np.random.default_rng(3)
    covered = 0
    for trial in range(200):
        one = click_through(rng, 60, taste=0.15, seed=2 * trial)
        other = click_through(rng, 60, taste=0.15, seed=2 * trial + 1)
        found = lift(one, other)
        covered += found.low <= 0 <= found.high
    assert 0.89 <= covered / 200 <= 0.99
