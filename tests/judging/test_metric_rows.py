import numpy as np
import pandas as pd
import pytest

from degre_pipeline.judging.evaluation_config import EvaluationConfig
from degre_pipeline.judging.metric_rows import agreement_rows, exact_rows, figures_by_request, summarise

CONFIG = EvaluationConfig(comparison_lists=100, bootstrap_samples=40)
NAN = float("nan")


def judged(subject: str, values: dict[int, float], rank=(0, 0), judge: str = "truth", **more) -> pd.DataFrame:
    """Judgements of one subject: values by request id."""
    facts = {"request_id": list(values), "subject": subject, "judge": judge, "value": list(values.values())}
    return pd.DataFrame({**facts, "rank": list(rank), "regret": NAN, "ndcg": NAN, "ties": 0.0, **more})


def figure(rows, subject: str, metric: str, judge: str = "truth"):
    """The one row of that name."""
    (row,) = [
        one for one in rows if (one["subject"], one["judge"], one["metric"]) == (subject, judge, metric)
    ]
    return row


class TestFiguresByRequest:
    def test_a_hit_has_fewer_better_lists_than_the_percentage(self) -> None:
        """Among 100 lists, rank 0 alone is in the top percent, ranks 0 to 2 in three, 0 to 9 in ten."""
        ranks = [0.0, 1.0, 2.0, 3.0, 9.0, 10.0, NAN]
        found = figures_by_request(judged("generator", dict.fromkeys(range(7), 1.0), ranks), CONFIG)

        assert found["hr1"].tolist()[:6] == [1, 0, 0, 0, 0, 0]
        assert found["hr3"].tolist()[:6] == [1, 1, 1, 0, 0, 0]
        assert found["hr10"].tolist()[:6] == [1, 1, 1, 1, 1, 0]
        assert found[["hr1", "hr3", "hr10"]].iloc[6].isna().all()
        assert found["utility"].tolist() == [1.0] * 7


class TestSummarise:
    @pytest.fixture
    def rows(self):
        judgements = pd.concat(
            [
                judged("ranking_order", {7: 1.0, 8: 2.0}, rank=[50, 60], regret=[0.5, 1.5]),
                # In another order of requests: pairs are found by request, not by place.
                judged("generator", {8: 3.0, 7: 1.5}, rank=[0, 2], regret=[0.5, 0.0], ndcg=[0.75, 0.85]),
                judged("beam", {7: 1.25, 8: 3.5}, rank=[0, 0], ties=[0.25, 0.25]),
                judged("exposed", {7: 1.0, 8: 1.0}, rank=[9, 40]),
                judged("random", {8: 0.75, 7: 0.5}, rank=[NAN, NAN]),
            ],
            ignore_index=True,
        )
        return summarise(figures_by_request(judgements, CONFIG), CONFIG)

    def test_means_by_hand(self, rows) -> None:
        assert figure(rows, "generator", "utility")["value"] == pytest.approx((3.0 + 1.5) / 2)
        assert figure(rows, "generator", "regret")["value"] == pytest.approx((0.5 + 0.0) / 2)
        assert figure(rows, "generator", "ndcg")["value"] == pytest.approx((0.75 + 0.85) / 2)
        assert figure(rows, "generator", "hr1")["value"] == pytest.approx((1 + 0) / 2)
        assert figure(rows, "generator", "hr3")["value"] == pytest.approx((1 + 1) / 2)
        assert figure(rows, "exposed", "hr10")["value"] == pytest.approx((1 + 0) / 2)
        assert figure(rows, "beam", "ties")["value"] == pytest.approx(0.25)

    def test_gains_are_differences_within_a_request(self, rows) -> None:
        # Request 7 gains 1.5 - 1.0 = 0.5 and request 8 gains 3.0 - 2.0 = 1.0.
        gain = figure(rows, "generator", "utility_over_ranking_order")
        assert gain["value"] == pytest.approx((0.5 + 1.0) / 2)
        assert (gain["low"], gain["high"]) == (0.5, 1.0)
        # 1.5 - 1.0 and 3.0 - 1.0.
        assert figure(rows, "generator", "utility_over_exposed")["value"] == pytest.approx((0.5 + 2.0) / 2)
        # 1.0 - 0.5 and 1.0 - 0.75.
        assert figure(rows, "exposed", "utility_over_random")["value"] == pytest.approx((0.5 + 0.25) / 2)
        # The beam hits twice, the generator once.
        assert figure(rows, "generator", "hr1_below_beam")["value"] == pytest.approx(((1 - 0) + (1 - 1)) / 2)

    def test_every_other_subject_is_held_against_the_ranking_order(self, rows) -> None:
        gains = {
            row["subject"]: row["value"] for row in rows if row["metric"] == "utility_over_ranking_order"
        }

        assert gains == {
            "generator": pytest.approx(0.75),
            "beam": pytest.approx((0.25 + 1.5) / 2),
            "exposed": pytest.approx((0.0 - 1.0) / 2),
            "random": pytest.approx((-0.5 - 1.25) / 2),
        }

    def test_a_gain_that_every_request_shares_has_no_width_however_much_requests_differ(self) -> None:
        lists = {"ranking_order": 0.0, "generator": 0.25, "beam": 0.25, "exposed": 0.0, "random": 0.0}
        judgements = pd.concat(
            [
                judged(subject, {request: request + more for request in range(10)}, rank=[0] * 10)
                for subject, more in lists.items()
            ],
            ignore_index=True,
        )
        rows = summarise(figures_by_request(judgements, CONFIG), CONFIG)
        paired, utility = (
            figure(rows, "generator", metric) for metric in ("utility_over_ranking_order", "utility")
        )

        assert (paired["value"], paired["low"], paired["high"]) == (0.25, 0.25, 0.25)
        assert utility["high"] - utility["low"] > 1

    def test_what_nobody_measured_has_no_row(self, rows) -> None:
        metrics = {row["metric"] for row in rows if row["subject"] == "random"}

        assert "utility" in metrics
        assert metrics.isdisjoint({"hr1", "hr3", "hr10", "ndcg", "regret"})
        assert not [row for row in rows if not np.isfinite(row["value"])]


def test_exact_hits_are_among_all_lists_of_the_own_request() -> None:
    """One better list of 100 is one percent, which is no hit; one of 101 is less."""
    judgements = pd.DataFrame(
        {
            "request_id": [1, 2, 3],
            "subject": "generator",
            "judge": "truth",
            "value": [1.0, 2.0, 3.0],
            "best_value": [1.25, 2.5, 3.0],
            "rank": [1, 1, 10],
            "lists": [100, 101, 101],
        }
    )
    rows = exact_rows(judgements, CONFIG)

    assert figure(rows, "generator", "exact_regret")["value"] == pytest.approx((0.25 + 0.5 + 0.0) / 3)
    assert figure(rows, "generator", "exact_hr1")["value"] == pytest.approx((0 + 1 + 0) / 3)
    assert figure(rows, "generator", "exact_hr3")["value"] == pytest.approx((1 + 1 + 0) / 3)
    assert figure(rows, "generator", "exact_hr10")["value"] == pytest.approx((1 + 1 + 1) / 3)


def test_agreement_is_the_mean_over_requests_of_each_pair() -> None:
    agreement = pd.DataFrame(
        {
            "request_id": [1, 2, 1, 2],
            "judges": ["mining-external", "mining-external", "mining-truth", "mining-truth"],
            "rank_correlation": [0.5, 1.0, 0.25, NAN],
        }
    )
    rows = agreement_rows(agreement, CONFIG)

    assert [(row["subject"], row["judge"], row["value"]) for row in rows] == [
        ("mining", "external", 0.75),
        ("mining", "truth", 0.25),
    ]
    assert {row["metric"] for row in rows} == {"rank_correlation"}
