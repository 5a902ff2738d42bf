import numpy as np
import pytest
import torch

from degre_pipeline.judging.evaluation_config import EvaluationConfig
from degre_pipeline.judging.evaluator_quality import gauc_rows
from degre_pipeline.reranker.requests import Requests

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


def levels_of(expected: list[float], lists: int) -> np.ndarray:
    """Levels P(V >= k) of every prefix whose sum grows by the expected click of each slot, [b, t, k]."""
    levels = np.zeros((3, 3))
    levels[:, 0] = np.cumsum(expected)
    return np.repeat(levels[None], lists, 0)


def test_a_model_that_knows_the_order_is_above_the_ranking_score_by_what_that_gets_wrong() -> None:
    clicked_last = requests([[0, 0, 1], [0, 1, 1]])
    rows = gauc_rows(
        {"knows": levels_of([0.1, 0.2, 0.3], 2), "equal": levels_of([0.3, 0.2, 0.1], 2)}, clicked_last, CONFIG
    )
    found = {(row["subject"], row["metric"]): row["value"] for row in rows}

    assert found["ranking_score", "gauc"] == pytest.approx(0.0)
    assert found["knows", "gauc"] == found["knows", "gauc_over_ranking_score"] == pytest.approx(1.0)
    assert found["equal", "gauc_over_ranking_score"] == pytest.approx(0.0)


def test_lists_without_a_pair_do_not_count() -> None:
    rows = gauc_rows({}, requests([[0, 0, 0], [1, 1, 1], [1, 0, 0]]), CONFIG)

    assert [(row["metric"], row["value"]) for row in rows] == [("gauc", pytest.approx(1.0))]


def test_where_no_list_has_a_pair_nothing_is_said() -> None:
    assert gauc_rows({}, requests([[0, 0, 0]]), CONFIG) == []
