"""The bootstrap over shops, seeds and requests, by hand and on figures whose truth is known."""

from math import sqrt

import numpy as np
import pytest
from scipy.stats import norm, t

from degre_pipeline.judging.study.nested_bootstrap import ShopFigures, nested_bootstrap
from degre_pipeline.reranker.metrics import bootstrap, bootstrap_ratio

RNG = np.random.default_rng(5)
PART, WHOLE = RNG.normal(size=30), RNG.uniform(1, 2, size=30)
USERS = RNG.integers(12, size=30)


def shop(*parts, whole=None, users=None) -> ShopFigures:
    """One figure of a shop, with the part of each seed and request."""
    values = np.array([parts], dtype=float)
    requests = values.shape[-1]
    return ShopFigures(
        values,
        np.ones((1, requests)) if whole is None else np.array([whole]),
        np.arange(requests) if users is None else users,
    )


def test_of_one_shop_and_one_seed_it_is_the_plain_bootstrap() -> None:
    [by_user] = nested_bootstrap([shop(PART, users=USERS)], samples=200, seed=3)
    [ratio] = nested_bootstrap([shop(PART, whole=WHOLE)], samples=200, seed=3)

    assert vars(by_user) == pytest.approx(vars(bootstrap(PART, units=USERS, samples=200, seed=3)))
    assert vars(ratio) == pytest.approx(vars(bootstrap_ratio(PART, WHOLE, samples=200, seed=3)))


def test_without_spread_inside_shops_only_shops_are_drawn() -> None:
    shops = [shop([value] * 5, [value] * 5) for value in (1.0, 2.0, 6.0)]
    found = nested_bootstrap(shops, samples=2000)[0]

    assert found.value == pytest.approx(3.0)
    # Student's 95% of three are 4.30 standard errors, and draws of three vary too little by sqrt(3 / 2).
    widened = 1 - 2 * norm.cdf(sqrt(3 / 2) * t.ppf(0.025, 2))
    plain = bootstrap(np.array([1.0, 2.0, 6.0]), samples=2000, confidence=widened)
    assert (found.low, found.high) == pytest.approx((plain.low, plain.high))
    assert (found.low, found.high) == (1.0, 6.0)  # of 27 draws, these are three times the same shop


def test_many_shops_have_the_usual_percentiles() -> None:
    values = RNG.normal(size=100)
    found = nested_bootstrap([shop([value]) for value in values], samples=400)[0]
    plain = bootstrap(values, samples=400)

    assert (found.low, found.high) == pytest.approx((plain.low, plain.high), abs=0.05)


def test_a_shop_counts_once_whatever_its_seeds_requests_and_level() -> None:
    """Means over shops of means over seeds of ratios of sums, not one mean of all."""
    one = shop([1.0, 3.0], [3.0, 5.0], whole=[1.0, 3.0])  # 4/4 and 8/4
    other = shop([0.0, 0.0, 5.0], whole=[2.0, 2.0, 6.0])  # 5/10

    assert nested_bootstrap([one, other], samples=10)[0].value == pytest.approx((1.5 + 0.5) / 2)


def test_seeds_of_a_shop_share_its_drawn_requests() -> None:
    noise = 10 * RNG.normal(size=40)
    alike = shop(noise, noise)
    drawn = [nested_bootstrap([alike], samples=1, seed=draw)[0].low for draw in range(200)]

    # Two seeds with requests of their own would seem to be twice the requests: less by sqrt(2).
    assert np.std(drawn) == pytest.approx(noise.std() / sqrt(40), rel=0.15)


def test_figures_share_all_draws() -> None:
    noise = 10 * RNG.normal(size=40)
    two = ShopFigures(np.array([[noise, noise + 1], [noise, noise]]), np.ones((2, 40)), np.arange(40))
    drawn = [nested_bootstrap([two], samples=1, seed=draw) for draw in range(50)]

    # What is left between them is what the second seed adds: drawn never, once or twice of two.
    assert {round(first.low - second.low, 9) for first, second in drawn} == {0.0, 0.5, 1.0}


def test_seeds_widen_the_interval_of_one_shop() -> None:
    alike, apart = shop([1.0] * 9, [1.0] * 9, [1.0] * 9), shop([0.0] * 9, [1.0] * 9, [2.0] * 9)

    assert vars(nested_bootstrap([alike], samples=50)[0]) == {"value": 1.0, "low": 1.0, "high": 1.0}
    found = nested_bootstrap([apart], samples=500)[0]
    assert (found.low, found.value, found.high) == (0.0, 1.0, 2.0)


@pytest.mark.parametrize(("between", "within"), [(1.0, 0.1), (1.0, 1.0), (0.0, 1.0)])
def test_the_truth_lies_in_the_interval_about_as_often_as_it_says(between: float, within: float) -> None:
    rng, tries = np.random.default_rng(0), 60
    covered, by_requests = 0, 0
    for _ in range(tries):
        level = between * rng.normal(size=5)
        values = level[:, None, None] + within * (
            rng.normal(size=(5, 2, 1)) + 5 * rng.normal(size=(5, 1, 25))
        )
        found = nested_bootstrap([shop(*seeds) for seeds in values], samples=150)[0]
        covered += found.low <= 0 <= found.high
        pooled = bootstrap(values.mean(1).ravel(), samples=100)
        by_requests += pooled.low <= 0 <= pooled.high

    assert covered / tries >= 0.85
    if between > within:  # an interval over requests alone knows nothing of shops
        assert by_requests / tries < 0.5


@pytest.mark.parametrize(
    ("shops", "message"),
    [
        ([], r"0 shops have \[\] figures; allowed: one shop or more"),
        ([shop([1.0]), ShopFigures(np.ones((2, 1, 1)), np.ones((2, 1)), np.arange(1))], r"have \[1, 2\] fig"),
    ],
)
def test_shops_have_the_same_figures(shops, message) -> None:
    with pytest.raises(ValueError, match=message):
        nested_bootstrap(shops)


@pytest.mark.parametrize("shape", [(2, 3), (1, 0, 3), (1, 2, 4), (2, 1, 3)])
def test_shapes_belong_together(shape) -> None:
    with pytest.raises(ValueError, match=r"parts, wholes, units have shapes .*; allowed: \[c, s, r\]"):
        ShopFigures(np.ones(shape), np.ones((1, 3)), np.arange(3))
