import logging

import numpy as np
import pandas as pd
import pytest
import torch
from by_hand import requests_of, truth_of

from degre_pipeline.judging.all_lists import compare_with_all_lists
from degre_pipeline.judging.evaluation_config import EvaluationConfig
from degre_pipeline.judging.metric_rows import exact_rows
from degre_pipeline.reports.evaluation_tables import exact_table
from degre_pipeline.reports.numbers import estimates_of
from degre_pipeline.reranker.search.beam import beam_search
from degre_pipeline.reranker.search.exact import all_list_values
from degre_pipeline.simulation.click_world import ClickTruth
from degre_pipeline.simulation.optimum import best_lists


def settings(**changes: object) -> EvaluationConfig:
    return EvaluationConfig(**{"exact_requests": 3, "device": "cpu", **changes})


def world(requests, seed: int = 0) -> ClickTruth:
    draw = np.random.default_rng(seed)
    b, n = requests.mask.shape
    return ClickTruth(
        request_id=requests.request_id.numpy(),
        stand_alone_logits=draw.normal(size=(b, n)).astype(np.float32),
        categories=draw.integers(0, 3, size=(b, n)),
        complement_of=np.array([1, -1, 0]),
        slot_penalty=0.1,
        satiation=0.9,
        complement_bonus=0.8,
    )


@pytest.fixture
def lists(make_requests, make_evaluator) -> dict[str, torch.Tensor]:
    found = beam_search(make_evaluator(3), make_requests(4, n=6, slots=3), beam_size=30)
    return {"beam": found.sequences[:, 0], "generator": found.sequences[:, 7]}


def test_ranks_and_values_are_those_of_sorting_all_lists(make_requests, make_evaluator, lists) -> None:
    requests, evaluator, other = make_requests(4, n=6, slots=3), make_evaluator(3), make_evaluator(3, seed=1)
    evaluators = {"mining": evaluator, "external": other}
    found = compare_with_all_lists(requests, lists, evaluators, None, settings())
    mining = found[found["judge"] == "mining"]

    assert set(found["request_id"]) == {100, 101, 102}
    assert mining[mining["subject"] == "beam"]["rank"].tolist() == [0, 0, 0]
    assert mining[mining["subject"] == "generator"]["rank"].tolist() == [7, 7, 7]
    assert (found["lists"] == 120).all()
    external = found[(found["judge"] == "external") & (found["subject"] == "beam")]
    every = all_list_values(other, requests.select(slice(0, 1)))
    assert external["rank"].iloc[0] == int((every.values > every.value_of(lists["beam"][:1])).sum())
    assert external["best_value"].iloc[0] == pytest.approx(every.best()[1], abs=1e-6)


def test_the_truth_agrees_with_its_own_optimum(make_requests, lists) -> None:
    requests = make_requests(4, n=6, slots=3)
    truth = world(requests)
    best, utility = best_lists(truth, 3)
    found = compare_with_all_lists(
        requests, {**lists, "best": torch.from_numpy(best)}, {}, truth, settings(exact_requests=4)
    )

    assert found[found["subject"] == "best"]["rank"].tolist() == [0] * 4
    assert found[found["subject"] == "best"]["best_value"].tolist() == pytest.approx(utility, abs=1e-5)
    assert (found["best_value"] >= found["value"]).all()


def test_ranks_among_the_lists_of_a_world_by_hand() -> None:
    """Six lists of two: two are worth 1.2 clicks, two 1.0 and two 0.9 in request 7, mirrored in request 8."""
    truth = truth_of({8: [0.8, 0.4, 0.5], 7: [0.5, 0.4, 0.8]})
    lists = {
        "generator": torch.tensor([[1, 2], [2, 1]]),  # 0.4 + 0.8 and 0.5 + 0.4
        "ranking_order": torch.tensor([[0, 2], [0, 2]]),  # 0.5 + 0.5 and 0.8 + 0.2
        "exposed": torch.tensor([[2, 0], [1, 0]]),  # 0.8 + 0.2 and 0.4 + 0.8
    }
    found = compare_with_all_lists(requests_of([7, 8]), lists, {}, truth, settings())

    by_subject = {subject: part.sort_values("request_id") for subject, part in found.groupby("subject")}
    assert by_subject["generator"]["rank"].tolist() == [0, 4]
    assert by_subject["ranking_order"]["rank"].tolist() == [2, 2]
    assert by_subject["exposed"]["rank"].tolist() == [2, 0]
    assert by_subject["generator"]["value"].tolist() == pytest.approx([1.2, 0.9])
    assert by_subject["exposed"]["value"].tolist() == pytest.approx([1.0, 1.2])
    assert set(found["best_value"]) == {1.2}
    assert set(found["lists"]) == {3 * 2}
    assert set(found["judge"]) == {"truth"}


def test_the_truth_of_few_candidates_is_over_the_orders_of_them_all() -> None:
    """Of three slots two can be filled: [0, 1] is worth 0.5 + 0.4 and [1, 0] the same."""
    asked = requests_of([7], n=3, slots=3, real=[2])
    lists = {"generator": torch.tensor([[1, 0, -1]])}
    found = compare_with_all_lists(asked, lists, {}, truth_of({7: [0.5, 0.4, 0.8]}), settings())

    assert found[["value", "best_value"]].iloc[0].tolist() == pytest.approx([0.9, 0.9])
    assert found[["rank", "lists"]].iloc[0].tolist() == [0, 2]


def test_requests_over_the_budget_are_left_out_with_a_warning(make_requests, make_evaluator, caplog) -> None:
    requests = make_requests(3, n=6, slots=3, real=[6, 4, 6])
    ranked = {"beam": beam_search(make_evaluator(3), requests, beam_size=1).sequences[:, 0]}
    with caplog.at_level(logging.WARNING):
        found = compare_with_all_lists(
            requests, ranked, {"mining": make_evaluator(3)}, None, settings(exact_steps=40)
        )

    assert found["request_id"].tolist() == [101]
    assert [record.args[:2] for record in caplog.records] == [(2, 3)]


def test_none_are_searched_when_switched_off(make_requests, make_evaluator, lists) -> None:
    requests = make_requests(4, n=6, slots=3)
    found = compare_with_all_lists(
        requests, lists, {"mining": make_evaluator(3)}, None, settings(exact_requests=0)
    )

    assert len(found) == 0
    assert exact_rows(found, settings()) == []
    assert exact_table(estimates_of([])) is None


def test_figures_by_hand() -> None:
    judged = pd.DataFrame(
        {
            "request_id": [1, 2],
            "subject": "generator",
            "judge": "external",
            "value": [1.0, 2.0],
            "best_value": [1.5, 2.0],
            "rank": [1, 0],
            "lists": [100, 100],
        }
    )
    figures = {row["metric"]: row["value"] for row in exact_rows(judged, settings(bootstrap_samples=40))}

    assert figures == {"exact_regret": 0.25, "exact_hr1": 0.5, "exact_hr3": 1.0, "exact_hr10": 1.0}
