import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.metrics import ndcg_score, roc_auc_score

from degre_pipeline.reranker.metrics import (
    Estimate,
    area_under_roc,
    bootstrap,
    bootstrap_ratio,
    calibration,
    discounted_gain,
    discounts,
    group_auc,
    hits,
    ndcg,
    pcoc,
    rank_correlation,
    ranks,
    regression_auc,
    rmse,
    share_of_ties,
    unit_draws,
)

Metric = Callable[[np.ndarray, np.ndarray], float]
OUTCOMES = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 6)), min_size=2, max_size=30)


class TestRegressionAuc:
    clicks = np.array([0, 1, 2])

    @pytest.mark.parametrize(
        ("predicted", "expected"),
        [((0.1, 0.3, 0.2), 2 / 3), ((-0.1, -0.3, -0.2), 1 / 3), ((0.5, 0.5, 0.5), 0)],
    )
    def test_by_hand(self, predicted: tuple[float, ...], expected: float) -> None:
        assert regression_auc(self.clicks, np.array(predicted)) == pytest.approx(expected)

    @given(OUTCOMES)
    def test_counts_ordered_pairs_and_no_ties(self, pairs: list[tuple[int, int]]) -> None:
        ordered = [(one, other) for one in pairs for other in pairs if one[0] > other[0]]
        score = regression_auc(*(np.array(column, dtype=float) for column in zip(*pairs, strict=True)))

        if ordered:
            assert score == pytest.approx(sum(one[1] > other[1] for one, other in ordered) / len(ordered))
        else:
            assert math.isnan(score)


class TestGroupAuc:
    @given(st.lists(OUTCOMES, min_size=1, max_size=4))
    def test_is_each_lists_own_auc_whatever_lies_in_empty_slots(self, lists) -> None:
        longest = max(map(len, lists))
        actual, scores = np.ones((len(lists), longest)), np.full((len(lists), longest), -9.0)
        real = np.zeros(actual.shape, dtype=bool)
        for row, pairs in enumerate(lists):
            actual[row, : len(pairs)] = [outcome > 1 for outcome, _ in pairs]
            scores[row, : len(pairs)] = [score for _, score in pairs]
            real[row, : len(pairs)] = True
        expected = [
            area_under_roc(*(a[row, real[row]] for a in (actual, scores))) for row in range(len(lists))
        ]

        assert group_auc(actual, scores, real) == pytest.approx(np.array(expected), nan_ok=True)


class TestAreaUnderRoc:
    @given(OUTCOMES)
    def test_is_the_reference_with_half_credit_for_ties(self, pairs: list[tuple[int, int]]) -> None:
        actual = np.array([float(outcome > 1) for outcome, _ in pairs])
        scores = np.array([score for _, score in pairs], dtype=float)

        if 0 < actual.sum() < len(actual):
            assert area_under_roc(actual, scores) == pytest.approx(roc_auc_score(actual, scores))
        else:
            assert math.isnan(area_under_roc(actual, scores))


class TestNdcg:
    clicks = np.array([[0.0, 1, 0, 1, 1, 0], [1, 1, 0, 0, 0, 0], [0, 0, 0, 0, 0, 1]])

    def test_is_the_reference(self) -> None:
        order = np.arange(6, 0, -1)[None]
        expected = [ndcg_score(row[None], order) for row in self.clicks]

        assert ndcg(self.clicks).tolist() == pytest.approx(expected)
        assert ndcg(self.clicks)[1] == pytest.approx(1.0)

    def test_is_nan_without_gain(self) -> None:
        assert np.isnan(ndcg(np.zeros((2, 3)))).all()

    def test_discounts_by_hand(self) -> None:
        assert discounts(3).tolist() == pytest.approx([1 / 1, 1 / math.log2(3), 1 / 2])
        assert discounted_gain(np.array([3.0, 2.0, 1.0])) == pytest.approx(3 + 2 / math.log2(3) + 0.5)


class TestRankCorrelation:
    def test_is_the_reference_by_request(self) -> None:
        one, other = np.random.default_rng(0).integers(0, 5, (2, 4, 20)).astype(float)
        expected = [spearmanr(a, b).statistic for a, b in zip(one, other, strict=True)]

        assert rank_correlation(one, other).tolist() == pytest.approx(expected)

    def test_is_nan_for_a_judge_without_opinion(self) -> None:
        correlation = rank_correlation(np.array([[1.0, 1, 1], [1, 2, 3]]), np.array([[1.0, 2, 3], [3, 2, 1]]))

        assert math.isnan(correlation[0])
        assert correlation[1] == pytest.approx(-1)


def test_pcoc_and_rmse_by_hand() -> None:
    actual, predicted = np.array([1.0, 3.0]), np.array([2.0, 1.0])

    assert pcoc(actual, predicted) == pytest.approx(0.75)
    assert rmse(actual, predicted) == pytest.approx(math.sqrt((1 + 4) / 2))
    assert math.isnan(pcoc(np.zeros(2), predicted))


def test_a_list_at_exactly_the_percentage_is_no_hit() -> None:
    assert hits(np.array([99, 100]), 10_000, 1).tolist() == [1, 0]
    assert hits(np.array([299, 300, 0]), 10_000, 3).tolist() == [1, 0, 1]
    assert hits(np.array([0, 1]), 10, 10).tolist() == [1, 0]


def test_hits_may_be_among_another_number_of_lists_for_each_request() -> None:
    """One better list of 100 is one percent, which is no hit; of 101 it is less."""
    assert hits(np.array([1, 1, 0]), np.array([100, 101, 1]), 1).tolist() == [0, 1, 1]


def test_only_strictly_better_lists_count_and_ties_are_reported() -> None:
    own, compared = np.array([0.5, 2.0]), np.array([[0.5, 0.6, 0.5, 0.1], [0.0, 1.0, 2.0, 3.0]])

    assert ranks(own, compared).tolist() == [1, 1]
    assert share_of_ties(own, compared) == pytest.approx((2 + 1) / 8)


class TestCalibration:
    def test_bins_by_prediction(self) -> None:
        predicted, actual = np.array([0.9, 0.1, 0.3, 0.7]), np.array([1.0, 0.0, 1.0, 2.0])
        low, high = calibration(actual, predicted, bins=2)

        assert (low.count, low.predicted, low.actual) == (2, pytest.approx(0.2), 0.5)
        assert (high.count, high.predicted, high.actual) == (2, pytest.approx(0.8), 1.5)

    def test_never_makes_an_empty_bin(self) -> None:
        assert [bin.count for bin in calibration(np.ones(3), np.arange(3.0), bins=10)] == [1, 1, 1]


class TestBootstrap:
    def test_ignores_values_that_are_not_finite(self) -> None:
        estimate = bootstrap(np.array([1.0, np.nan, 3.0, np.inf]), samples=50)

        assert estimate.value == 2
        assert 1 <= estimate.low <= estimate.value <= estimate.high <= 3

    def test_its_interval_covers_the_true_mean_about_as_often_as_it_says(self) -> None:
        rng = np.random.default_rng(0)
        estimates = [bootstrap(rng.normal(1, 2, 60), samples=200, seed=seed) for seed in range(200)]
        coverage = np.mean([estimate.low <= 1 <= estimate.high for estimate in estimates])

        assert 0.89 < coverage < 0.985

    def test_repeats_by_seed(self) -> None:
        values = np.arange(20.0)

        assert bootstrap(values, seed=1) == bootstrap(values, seed=1)
        assert bootstrap(values, seed=1) != bootstrap(values, seed=2)

    def test_every_request_is_a_unit_unless_told_otherwise(self) -> None:
        values = np.arange(20.0)

        assert bootstrap(values, units=np.arange(20), seed=1) == bootstrap(values, seed=1)
        assert bootstrap(values, units=-7 * np.arange(20)[::-1], seed=1) != bootstrap(values, seed=2)

    def test_requests_of_one_unit_are_drawn_together(self) -> None:
        values, units = np.array([1.0, 1.0, np.nan, 4.0]), np.array([8, 8, 8, 3])
        drawn = {bootstrap(values, units=units, samples=1, seed=seed).low for seed in range(30)}

        assert drawn == {1.0, 2.0, 4.0}
        assert bootstrap(values, units=units).value == 2.0
        assert bootstrap(np.arange(9.0), units=np.zeros(9)) == Estimate(4.0, 4.0, 4.0)

    def test_its_interval_covers_where_requests_of_a_unit_are_alike(self) -> None:
        rng = np.random.default_rng(0)
        units = np.repeat(np.arange(60), 10)
        found = [
            bootstrap(rng.normal(1, 2, 60)[units], units=units, samples=200, seed=seed) for seed in range(200)
        ]

        assert 0.89 < np.mean([estimate.low <= 1 <= estimate.high for estimate in found]) < 0.985

    def test_a_higher_confidence_is_a_wider_interval(self) -> None:
        values = np.arange(20.0)
        usual, wide = bootstrap(values), bootstrap(values, confidence=0.999)

        assert wide.low < usual.low < usual.high < wide.high

    def test_by_hand(self) -> None:
        """Two values, drawn twice: a quarter of the means is 0, half of them 1, a quarter 2."""
        values = np.array([0.0, 2.0])

        assert bootstrap(values) == Estimate(1.0, 0.0, 2.0)
        # The middle 40% lie within the half of the means that are 1.
        assert bootstrap(values, confidence=0.4) == Estimate(1.0, 1.0, 1.0)

    def test_by_hand_with_users(self) -> None:
        """User 5 has three requests of 0 and user 6 one of 4: means are 0, 4 or (3 * 0 + 4) / 4 = 1."""
        values, users = np.array([0.0, 0.0, 4.0, 0.0]), np.array([5, 5, 6, 5])

        assert bootstrap(values, units=users) == Estimate(1.0, 0.0, 4.0)
        assert bootstrap(values, units=users, confidence=0.4) == Estimate(1.0, 1.0, 1.0)
        # Drawn one by one, four requests are all of user 6 once in 256 times.
        assert bootstrap(values).high < 4.0

    def test_pairs_leave_only_what_differs_within_a_request(self) -> None:
        """Requests are worth 0 to 9 clicks; the better method gains 0.1 in even and 0.3 in odd ones."""
        other = np.arange(10.0)
        gain = np.where(np.arange(10) % 2 == 0, 0.1, 0.3)
        paired, better, worse = (bootstrap(one) for one in (gain, other + gain, other))

        assert paired.value == pytest.approx((5 * 0.1 + 5 * 0.3) / 10)
        assert 0.1 <= paired.low < paired.value < paired.high <= 0.3
        # Unpaired, the intervals overlap almost wholly, and the gain cannot be seen.
        assert worse.low < better.low < worse.high < better.high
        assert better.high - better.low > 10 * (paired.high - paired.low)

    def test_a_gain_that_all_requests_share_has_no_width(self) -> None:
        assert bootstrap(np.full(10, 0.25)) == Estimate(0.25, 0.25, 0.25)

    def test_a_users_requests_make_the_interval_wider_than_as_many_strangers(self) -> None:
        values = np.repeat([0.0, 1.0, 2.0, 3.0], 25)
        strangers, users = bootstrap(values), bootstrap(values, units=np.repeat(np.arange(4), 25))

        assert strangers.value == users.value == 1.5
        assert users.high - users.low > 3 * (strangers.high - strangers.low)

    def test_needs_a_finite_value(self) -> None:
        with pytest.raises(ValueError, match="no finite value"):
            bootstrap(np.array([np.nan]))


class TestUnitDraws:
    def test_are_as_many_units_as_there_are_with_replacement_and_repeat_by_seed(self) -> None:
        draws = list(unit_draws(3, samples=200, seed=4))

        assert len(draws) == 200
        assert all(len(drawn) == 3 and set(drawn.tolist()) <= {0, 1, 2} for drawn in draws)
        assert {len(set(drawn.tolist())) for drawn in draws} == {1, 2, 3}
        again = [drawn.tolist() for drawn in unit_draws(3, samples=200, seed=4)]
        assert again == [drawn.tolist() for drawn in draws]
        assert again != [drawn.tolist() for drawn in unit_draws(3, samples=200, seed=5)]


class TestBootstrapRatio:
    def test_by_hand(self) -> None:
        """Two requests, 1 of 2 and 9 of 3: ratios are 2 / 4, 18 / 6 or 10 / 5, not the mean of 0.5 and 3."""
        found = bootstrap_ratio(np.array([1.0, 9.0]), np.array([2.0, 3.0]))

        assert (found.value, found.low, found.high) == (2.0, 0.5, 3.0)

    def test_has_a_thousand_resamples_of_seed_zero_unless_told_otherwise(self) -> None:
        parts, wholes = np.arange(20.0), np.arange(20.0)[::-1] + 3

        assert bootstrap_ratio(parts, wholes) == bootstrap_ratio(parts, wholes, samples=1000, seed=0)
        assert bootstrap(parts) == bootstrap(parts, samples=1000, seed=0, confidence=0.95)

    def test_requests_of_one_unit_are_drawn_together(self) -> None:
        """Units of 1 + 3 of 2 + 2 and of 9 of 3: ratios are 1, 3 or (4 + 9) / (4 + 3)."""
        parts, wholes, units = np.array([1.0, 9.0, 3.0]), np.array([2.0, 3.0, 2.0]), np.array([4, 9, 4])
        drawn = {
            round(bootstrap_ratio(parts, wholes, units=units, samples=1, seed=seed).low, 9)
            for seed in range(30)
        }

        assert drawn == {1.0, 3.0, round(13 / 7, 9)}
        assert bootstrap_ratio(parts, wholes, units=units).value == pytest.approx(13 / 7)


@pytest.mark.parametrize("metric", [regression_auc, pcoc, rmse, area_under_roc, calibration])
class TestErrors:
    def test_of_shape(self, metric: Metric) -> None:
        with pytest.raises(ValueError, match=r"shapes are \(2,\) and \(3,\)"):
            metric(np.zeros(2), np.zeros(3))
        with pytest.raises(ValueError, match=r"shapes are \(0,\) and \(0,\)"):
            metric(np.zeros(0), np.zeros(0))

    def test_of_value(self, metric: Metric) -> None:
        with pytest.raises(ValueError, match=r"predicted\[1\] is not finite"):
            metric(np.zeros(3), np.array([0, np.nan, 1]))
        with pytest.raises(ValueError, match=r"actual\[0\] is not finite"):
            metric(np.array([np.inf, 0]), np.zeros(2))
