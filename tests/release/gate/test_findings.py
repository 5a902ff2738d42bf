import math
from dataclasses import replace

import numpy as np
import pytest

from degre_pipeline.release.gate.findings import at_least, at_most, paired, within
from degre_pipeline.reranker.metrics import bootstrap

EACH = np.arange(10)
"""Every request is of a user of its own."""


@pytest.fixture
def config(gate_config):
    return replace(gate_config, least_requests=3, least_users=1, bootstrap_samples=200)


@pytest.mark.parametrize(
    ("measured", "verdict", "distance"), [(0.25, "pass", 0.05), (0.2, "pass", 0.0), (0.1, "refuse", -0.1)]
)
def test_a_floor_is_reached_at_the_limit(measured, verdict, distance):
    found = at_least("hit_rate", "HR@1%", measured, 0.2)
    assert (found.verdict, found.measured, found.limit) == (verdict, measured, 0.2)
    assert found.distance == pytest.approx(distance)


@pytest.mark.parametrize(
    ("measured", "verdict", "distance"), [(1.4, "pass", 0.1), (1.5, "pass", 0.0), (3.0, "hold", -1.5)]
)
def test_a_ceiling_holds_at_the_limit_and_says_what_happens_beyond(measured, verdict, distance):
    found = at_most("latency", "ratio", measured, 1.5, otherwise="hold")
    assert found.verdict == verdict
    assert found.distance == pytest.approx(distance)


@pytest.mark.parametrize(
    ("measured", "limit", "distance"),
    [(0.9, 0.8, 0.1), (1.2, 1.25, 0.05), (0.7, 0.8, -0.1), (2.0, 1.25, -0.75)],
)
def test_a_range_is_measured_from_its_nearer_end(measured, limit, distance):
    found = within("calibration", "PCOC", measured, 0.8, 1.25)
    assert found.limit == limit
    assert found.distance == pytest.approx(distance)
    assert found.verdict == ("pass" if distance >= 0 else "refuse")
    assert "allowed: 0.8 to 1.25" in found.reason


def test_a_ceiling_has_no_floor_and_a_floor_no_ceiling():
    """An optimism of -0.5 is well below a ceiling of 0.2, and a gain of 1,000 well above a floor of 0."""
    low, high = at_most("optimism", "it", -0.5, 0.25), at_least("gain", "it", 1000.0, 0.0)

    assert (low.verdict, low.limit, low.distance) == ("pass", 0.25, 0.75)
    assert (high.verdict, high.limit, high.distance) == ("pass", 0.0, 1000.0)
    assert (low.reason, high.reason) == ("-0.5; allowed: at most 0.25", "1000; allowed: at least 0")


def test_a_finding_cannot_be_changed_once_it_is_found():
    with pytest.raises(AttributeError):
        at_least("rule", "it", 0.0, 1.0).verdict = "pass"


@pytest.mark.parametrize("unknown", [None, math.nan, math.inf, -math.inf])
def test_an_unknown_figure_never_passes(unknown):
    assert at_least("rule", "it", unknown, 0.0).verdict == "refuse"
    assert at_most("rule", "it", unknown, 1.0, otherwise="hold").verdict == "hold"
    assert within("rule", "it", unknown, 0.0, 1.0).measured is None


@pytest.mark.parametrize(
    ("differences", "verdict"),
    [
        ([0.2, 0.3, 0.4, 0.3], "pass"),
        ([-0.2, -0.3, -0.4, -0.3], "refuse"),
        ([-1.0, 1.0, -1.0, 1.0], "hold"),
    ],
)
def test_an_interval_beside_the_limit_decides_and_one_across_it_does_not(config, differences, verdict):
    values = np.array(differences)
    found = paired("non_inferiority", "clicks", values, -0.1, config, user=EACH[:4])
    wanted = bootstrap(values, samples=200, seed=config.seed)
    assert found.verdict == verdict
    assert (found.measured, found.low, found.high) == (wanted.value, wanted.low, wanted.high)
    nearest = wanted.high if verdict == "refuse" else wanted.low
    assert found.distance == pytest.approx(nearest + 0.1)


def test_ties_are_not_inferior_and_not_superior(config):
    ties = np.zeros(5)
    assert paired("non_inferiority", "clicks", ties, 0.0, config, user=EACH[:5]).verdict == "pass"
    superior = paired("superiority", "clicks", ties, 0.0, config, user=EACH[:5], strictly=True)
    assert (superior.verdict, superior.low, superior.high) == ("hold", 0.0, 0.0)


@pytest.mark.parametrize("looks", [1, 30])
def test_looks_share_the_error_and_have_as_many_resamples_beyond_an_end(config, looks):
    """Of 200 resamples 5 lie beyond each end of a 95% interval, and so do 5 of 6,000 beyond each of 30."""
    values = np.array([0.5, 1.0, -0.25, 0.75, 0.0, 2.0])
    found = paired("superiority", "clicks", values, 0.0, config, user=EACH[:6], looks=looks)
    wanted = bootstrap(values, samples=200 * looks, seed=config.seed, confidence=1 - 0.05 / looks)

    assert (found.measured, found.low, found.high) == (4.0 / 6, wanted.low, wanted.high)
    assert found.low < found.measured < found.high


def test_an_interval_of_users_draws_users(config):
    """One user with three requests of 0, another with one of 4: means of two users are 0, 1 or 4."""
    values, user = np.array([0.0, 0.0, 4.0, 0.0]), np.array([5, 5, 6, 5])
    found = paired("non_inferiority", "clicks", values, 0.0, config, user=user)

    assert (found.measured, found.low, found.high) == ((3 * 0 + 4) / 4, 0.0, 4.0)
    assert (found.verdict, found.distance) == ("pass", 0.0)


@pytest.mark.parametrize(("gain", "verdict"), [(0.25, "pass"), (0.0, "hold"), (-0.25, "refuse")])
def test_a_gain_that_every_request_shares_is_a_gain_only_above_the_limit(config, gain, verdict):
    found = paired("superiority", "clicks", np.full(5, gain), 0.0, config, user=EACH[:5], strictly=True)
    assert (found.verdict, found.distance) == (verdict, gain)


def test_as_many_requests_and_users_as_are_needed_are_enough(config):
    three = replace(config, least_requests=3, least_users=3)
    gains = np.full(3, 0.5)
    assert paired("non_inferiority", "clicks", gains, 0.0, three, user=EACH[:3]).verdict == "pass"
    assert paired("non_inferiority", "clicks", gains[:2], 0.0, three, user=EACH[:2]).verdict == "hold"
    assert paired("non_inferiority", "clicks", gains, 0.0, three, user=np.array([1, 1, 2])).verdict == "hold"


@pytest.mark.parametrize("gain", [5.0, -5.0])
def test_one_request_decides_nothing(config, gain):
    found = paired("non_inferiority", "clicks", np.array([gain]), -0.1, config, user=EACH[:1])
    assert (found.verdict, found.low) == ("hold", None)
    assert "1 requests say too little; needed: 3" in found.reason


@pytest.mark.parametrize("unknown", [np.nan, np.inf])
def test_a_difference_that_is_not_finite_is_refused_however_good_the_others_are(config, unknown):
    found = paired(
        "non_inferiority", "clicks", np.array([1.0, 1.0, unknown, 1.0]), -0.1, config, user=EACH[:4]
    )
    assert (found.verdict, found.measured) == ("refuse", None)
    assert "1 of 4 differences are not finite" in found.reason


def test_few_users_decide_nothing_however_many_requests_they_made(config):
    gains, user = np.full(90, 5.0), np.repeat(EACH[:9], 10)
    found = paired("non_inferiority", "clicks", gains, -0.1, replace(config, least_users=10), user=user)
    assert (found.verdict, found.low) == ("hold", None)
    assert found.reason == "9 users say too little; needed: 10"
    assert paired("non_inferiority", "clicks", gains, -0.1, config, user=user).verdict == "pass"


@pytest.mark.parametrize("users", [40, 200])
def test_at_the_margin_about_one_in_forty_passes_where_users_differ(config, users):
    """Effects are shared by the requests of a user: intervals over requests would pass far more often."""
    rng = np.random.default_rng(users)
    user = np.repeat(np.arange(users), 2000 // users)
    verdicts = []
    for _ in range(300):
        shared = rng.normal(-0.1, 0.2, users)[user]
        differences = shared + rng.normal(0, 0.28, len(user))
        verdicts.append(paired("non_inferiority", "clicks", differences, -0.1, config, user=user).verdict)
    passed = verdicts.count("pass") / len(verdicts)
    assert 0.005 <= passed <= 0.06
