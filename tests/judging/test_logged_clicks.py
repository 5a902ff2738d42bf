from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from degre_pipeline.judging.evaluation_config import EvaluationConfig
from degre_pipeline.judging.logged_clicks import (
    LoggedRequests,
    floor_lists,
    item_codes,
    logged_click_rows,
    logged_requests,
)
from degre_pipeline.judging.subjects import one_random_list
from degre_pipeline.reranker.support import ranking_order

CONFIG = EvaluationConfig(bootstrap_samples=40, device="cpu")


def value(rows, subject, judge, metric):
    (row,) = [r for r in rows if (r["subject"], r["judge"], r["metric"]) == (subject, judge, metric)]
    return row["value"]


@pytest.fixture
def varied(make_requests):
    """Random lists whose first candidate is always clicked, wherever it stands."""
    requests = make_requests(3000)
    return replace(requests, clicks=(requests.exposed == 0).float())


@pytest.fixture
def in_order(make_requests):
    requests = make_requests(400)
    best = requests.scores.argsort(dim=1, descending=True)[:, :4]
    clicks = torch.zeros(400, 4)
    clicks[:, 2] = 1
    return replace(requests, exposed=best, clicks=clicks)


def rows_of(requests, at_random=None, users_share=1):
    first = torch.cat([torch.zeros(len(requests), 1), torch.ones(len(requests), 3).cumsum(1)], 1).long()
    lists = {"generator": first, "ranking_order": ranking_order(requests), "exposed": requests.shown}
    marks = np.zeros(len(requests), dtype=np.bool_) if at_random is None else at_random
    logged = LoggedRequests(requests, np.arange(len(requests)) // users_share, marks)
    return logged_click_rows(lists, logged, requests, CONFIG)


def test_a_list_that_begins_with_what_was_clicked_is_above_the_shown_order(varied) -> None:
    rows = rows_of(varied)
    assert value(rows, "generator", "logged_clicks", "hit_1") == 1.0
    assert value(rows, "generator", "logged_clicks", "mrr") == 1.0
    assert value(rows, "exposed", "logged_clicks", "hit_k") == 1.0
    assert value(rows, "generator", "weighted_clicks", "hit_1") == 1.0
    assert value(rows, "generator", "logged_clicks", "order_over_shown") > 0.2
    assert value(rows, "generator", "logged_clicks", "supported_slots") == 1.0
    assert value(rows, "log", "logged_clicks", "examination_01") == 1.0


def test_a_log_without_variation_has_no_weights_and_supports_its_own_order_alone(in_order) -> None:
    rows = rows_of(in_order)
    assert not [row for row in rows if row["judge"] == "weighted_clicks" or "examination" in row["metric"]]
    assert value(rows, "ranking_order", "logged_clicks", "order_over_shown") == 0.0
    assert value(rows, "ranking_order", "logged_clicks", "supported_slots") == 1.0
    assert value(rows, "ranking_order", "logged_clicks", "moved_slots") == 0.0
    assert value(rows, "generator", "logged_clicks", "supported_slots") < 0.3
    assert value(rows, "exposed", "logged_clicks", "mrr") == pytest.approx(1 / 3)


def test_randomized_requests_have_figures_of_their_own(varied) -> None:
    marks = np.arange(len(varied)) < 100
    rows = rows_of(varied, marks)
    assert value(rows, "generator", "randomized_clicks", "hit_1") == 1.0
    assert not [row for row in rows_of(varied) if row["judge"] == "randomized_clicks"]


def test_nothing_is_said_without_a_click(varied) -> None:
    assert rows_of(replace(varied, clicks=torch.zeros_like(varied.clicks))) == []


def test_requests_come_with_their_users_and_the_mark_of_random_lists(make_requests) -> None:
    requests = make_requests(3)
    table = pd.DataFrame({"request_id": [102, 100, 7], "randomized": [True, False, True]})
    lists = pd.DataFrame({"request_id": [102, 101, 100], "user_id": ["ann", "bob", "ann"]})
    logged = logged_requests(lists, table, requests)
    assert logged.randomized.tolist() == [False, False, True]
    assert logged.users.tolist() == [0, 1, 0]
    assert logged_requests(lists, table[["request_id"]], requests).randomized.tolist() == [False] * 3


def test_intervals_draw_users_not_requests(varied) -> None:
    def width(rows):
        (row,) = [r for r in rows if (r["subject"], r["metric"]) == ("generator", "order_over_shown")]
        return row["high"] - row["low"]

    alike = varied.select(torch.arange(30).repeat_interleave(100))  # a hundred times the same request
    assert width(rows_of(alike, users_share=100)) > 3 * width(rows_of(alike))


def test_floors_find_the_feature_that_clicks_follow(make_requests, sizes) -> None:
    requests = make_requests(2000)
    category = requests.candidates[..., 0]
    clicked = (category == 3).gather(1, requests.exposed).float()
    log = replace(requests, clicks=clicked)
    codes = torch.zeros(2000, 8, dtype=torch.long)
    lists = floor_lists(log, log, list(sizes), (codes, codes))

    assert set(lists) == {"item_mean", "by_category"}
    assert torch.equal(lists["item_mean"], ranking_order(log))  # one code for all: the ranking order
    first = category.gather(1, lists["by_category"][:, :1])[:, 0]
    assert bool((first[(category == 3).any(1)] == 3).all())
    assert not torch.equal(lists["by_category"], one_random_list(log, 0))


def test_codes_tell_items_apart_whatever_their_ids(make_requests) -> None:
    requests = make_requests(2, n=3, slots=2, real=[3, 2])
    table = pd.DataFrame({"request_id": [100, 101], "candidate_item_ids": [["x", "b", "a"], ["a", "x"]]})
    assert item_codes(table, requests).tolist() == [[3, 2, 1], [1, 3, 0]]
