import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from by_hand import requests_of, truth_of

from degre_pipeline.judging.evaluation_config import EvaluationConfig
from degre_pipeline.judging.evaluator_quality import (
    calibration_table,
    gauc_rows,
    predicted_levels,
    quality_rows,
    true_levels,
)
from degre_pipeline.reranker.models.evaluator import prefix_values
from degre_pipeline.reranker.requests import Requests, gather_candidates

CONFIG = EvaluationConfig(bootstrap_samples=40)


def requests(clicks: list[list[int]]) -> Requests:
    """Lists of the first three of four candidates, whose ranking scores fall with their index."""
    b = len(clicks)
    return Requests(
        request_id=torch.arange(b),
        split=torch.zeros(b, dtype=torch.int8),
        role=torch.zeros(b, dtype=torch.int8),
        static=torch.zeros(b, 0, dtype=torch.int32),
        candidates=torch.zeros(b, 4, 1, dtype=torch.int32),
        mask=torch.ones(b, 4, dtype=torch.bool),
        scores=torch.tensor([[0.4, 0.3, 0.2, 0.1]]).expand(b, 4),
        exposed=torch.tensor([[0, 1, 2]]).expand(b, 3),
        exposed_mask=torch.ones(b, 3, dtype=torch.bool),
        clicks=torch.tensor(clicks, dtype=torch.float32),
    )


def scores_of(lists: Requests) -> np.ndarray:
    """The ranking scores of exposed items, [b, t]."""
    return lists.scores.gather(1, lists.exposed).numpy()


def levels_of(expected: list[float], lists: int) -> np.ndarray:
    """Levels P(V >= k) of every prefix whose sum grows by the expected click of each slot, [b, t, k]."""
    levels = np.zeros((3, 3))
    levels[:, 0] = np.cumsum(expected)
    return np.repeat(levels[None], lists, 0)


def test_a_model_that_knows_the_order_is_above_the_ranking_score_by_what_that_gets_wrong() -> None:
    clicked_last = requests([[0, 0, 1], [0, 1, 1]])
    # The item mean is right of one of the pairs of the second list alone: 0 and 1 / 2, in the mean 1 / 4.
    rows = gauc_rows(
        {"knows": levels_of([0.1, 0.2, 0.3], 2), "equal": levels_of([0.3, 0.2, 0.1], 2)},
        {"ranking_score": scores_of(clicked_last), "item_mean": np.array([[3, 2, 1], [2, 3, 1]])},
        clicked_last,
        CONFIG,
    )
    found = {(row["subject"], row["metric"]): row["value"] for row in rows}

    assert found["ranking_score", "gauc"] == pytest.approx(0.0)
    assert found["item_mean", "gauc"] == pytest.approx(0.25)
    assert found["knows", "gauc_over_references"] == pytest.approx(0.75)
    assert found["equal", "gauc_over_references"] == pytest.approx(-0.25)
    assert found["knows", "gauc"] == found["knows", "gauc_over_ranking_score"] == pytest.approx(1.0)
    assert found["equal", "gauc_over_ranking_score"] == pytest.approx(0.0)


def test_lists_without_a_pair_do_not_count() -> None:
    lists = requests([[0, 0, 0], [1, 1, 1], [1, 0, 0]])
    rows = gauc_rows({}, {"ranking_score": scores_of(lists)}, lists, CONFIG)

    assert [(row["metric"], row["value"]) for row in rows] == [("gauc", pytest.approx(1.0))]


def test_where_no_list_has_a_pair_nothing_is_said() -> None:
    lists = requests([[0, 0, 0]])

    assert gauc_rows({}, {"ranking_score": scores_of(lists)}, lists, CONFIG) == []


@pytest.fixture
def two_lists() -> Requests:
    """Two clicks on a list of three slots, one on a list of two."""
    filled = torch.tensor([[True] * 3, [True, True, False]])
    return replace(requests([[1, 0, 1], [0, 1, 0]]), exposed_mask=filled)


LEVELS = np.array(
    [
        [[0.9, 0.99, 0.99], [0.8, 0.3, 0.99], [0.7, 0.6, 0.2]],
        [[0.4, 0.99, 0.99], [0.5, 0.1, 0.99], [0.99, 0.99, 0.99]],
    ]
)
"""P(V >= k) after each slot; 0.99 where no such level can be reached, or no slot is filled.

The first list is expected to have 0.7 + 0.6 + 0.2 = 1.5 clicks, the second 0.5 + 0.1 = 0.6.
"""


def bce(probability: float, outcome: int) -> float:
    return -math.log(probability if outcome else 1 - probability)


def test_quality_by_hand(two_lists) -> None:
    found = {row["metric"]: row["value"] for row in quality_rows("mining", LEVELS, two_lists)}

    first = [bce(0.9, 1), bce(0.8, 1), bce(0.3, 0), bce(0.7, 1), bce(0.6, 1), bce(0.2, 0)]
    second = [bce(0.4, 0), bce(0.5, 1), bce(0.1, 0)]
    assert found == {
        "r_auc": 1.0,  # the list of two clicks is expected to have more than that of one
        "pcoc": pytest.approx((1.5 + 0.6) / (2 + 1)),
        "rmse": pytest.approx(math.sqrt(((2 - 1.5) ** 2 + (1 - 0.6) ** 2) / 2)),
        "loss": pytest.approx((sum(first) / 3 + sum(second) / 2) / 2),
    }


def test_a_level_that_is_ruled_out_or_certain_has_a_finite_loss() -> None:
    """One slot, clicked: predicted never, the loss is that of one in a billion; predicted always, nothing."""
    one_slot = replace(requests([[1, 0, 0]]), exposed_mask=torch.tensor([[True, False, False]]))
    losses = [
        next(row["value"] for row in quality_rows("mining", np.full((1, 3, 3), level), one_slot)[-1:])
        for level in (0.0, 1.0)
    ]

    assert losses == [pytest.approx(-math.log(1e-9), rel=1e-6), pytest.approx(0.0, abs=1e-8)]


def test_calibration_by_hand(two_lists) -> None:
    table = calibration_table({"mining": LEVELS}, two_lists)
    rows = {(row.by, row.at): (row.predicted, row.observed, row.lists) for row in table.itertuples()}

    assert set(table["model"]) == {"mining"}
    assert rows == {
        # From the lowest predictions on; ten bins, of which two lists fill two.
        ("value", 1): (pytest.approx(0.6), 1.0, 1),
        ("value", 2): (pytest.approx(1.5), 2.0, 1),
        # Clicks up to the slot, of the lists that reach it.
        ("slot", 1): (pytest.approx((0.9 + 0.4) / 2), (1 + 0) / 2, 2),
        ("slot", 2): (pytest.approx((0.8 + 0.3 + 0.5 + 0.1) / 2), (1 + 1) / 2, 2),
        ("slot", 3): (pytest.approx(0.7 + 0.6 + 0.2), 2.0, 1),
        # How often whole lists reach so many clicks.
        ("level", 1): (pytest.approx(0.7), 1.0, 1),
        ("level", 2): (pytest.approx(0.6), 1.0, 1),
        ("level", 3): (pytest.approx(0.2), 0.0, 1),
    }


def test_a_slot_that_no_list_fills_has_no_mean(two_lists) -> None:
    short = replace(two_lists, exposed_mask=torch.tensor([[True, True, False]] * 2))
    table = calibration_table({"mining": LEVELS}, short).set_index(["by", "at"])

    assert table.loc[("slot", 3), "lists"] == table.loc[("level", 1), "lists"] == 0
    assert table.loc[[("slot", 3), ("level", 1)], ["predicted", "observed"]].isna().all(axis=None)


def test_true_levels_by_hand() -> None:
    """The lists show candidates 0 and 1: clicked with 0.5 and 0.4, and with 0.8 and 0.4."""
    levels = true_levels(truth_of({8: [0.8, 0.4, 0.5], 7: [0.5, 0.4, 0.8]}), requests_of([7, 8]))

    assert levels[0] == pytest.approx(np.array([[0.5, 0.0], [1 - 0.5 * 0.6, 0.5 * 0.4]]), abs=1e-6)
    assert levels[1] == pytest.approx(np.array([[0.8, 0.0], [1 - 0.2 * 0.6, 0.8 * 0.4]]), abs=1e-6)


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_predicted_levels_add_up_to_the_expected_clicks(make_requests, make_evaluator, batch_size) -> None:
    asked, evaluator = make_requests(3, n=5, slots=3), make_evaluator(3)
    levels = predicted_levels(evaluator, asked, batch_size)
    values = prefix_values(evaluator(asked.static, gather_candidates(asked.candidates, asked.exposed)))

    assert levels.shape == (3, 3, 3)
    reachable = np.array([[1, 0, 0], [1, 1, 0], [1, 1, 1]])
    assert (levels * reachable).sum(-1) == pytest.approx(values.detach().numpy(), abs=1e-9)
