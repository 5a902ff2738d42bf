from dataclasses import replace

import pandas as pd
import pytest

from degre_pipeline.release.gate.frozen_slice import (
    content_sha256,
    draw_slice,
    lists_of_slice,
    users_by_request,
)
from degre_pipeline.sources.feature_tables import FeatureTables


@pytest.fixture
def tables(shop):
    return shop.feature_tables


def test_draws_test_requests_by_the_seed_alone(shop, tables, gate_settings):
    drawn = draw_slice(shop.lists, tables, gate_settings)
    test = set(shop.lists.loc[shop.lists["split"] == "test", "request_id"])
    assert len(set(drawn["request_ids"])) == 80
    assert set(drawn["request_ids"]) < test
    assert (drawn["first_day"], drawn["last_day"]) == ("2026-01-31", "2026-01-31")
    shuffled = shop.lists.sample(frac=1, random_state=0)
    assert draw_slice(shuffled, tables, gate_settings) == drawn
    assert (
        draw_slice(shop.lists, tables, replace(gate_settings, seed=1))["request_ids"] != drawn["request_ids"]
    )
    every = draw_slice(shop.lists, tables, replace(gate_settings, requests=0))
    assert set(every["request_ids"]) == test


def test_without_test_requests_there_is_no_slice(shop, tables, gate_settings):
    training = shop.lists[shop.lists["split"] != "test"]
    with pytest.raises(ValueError, match="no request has split 'test'"):
        draw_slice(training, tables, gate_settings)


def test_gives_the_lists_in_the_order_of_the_slice(shop, tables, gate_settings):
    drawn = draw_slice(shop.lists, tables, gate_settings)
    assert lists_of_slice(drawn, shop.lists, tables)["request_id"].to_list() == drawn["request_ids"]


@pytest.mark.parametrize(
    ("name", "column", "value"),
    [
        ("requests", "hour", 25),
        ("candidates", "ranking_score", 9.0),
        ("candidates", "item_id", 999),
        ("users", "segment", "other"),
        ("items", "rating", 9.0),
    ],
)
def test_any_other_content_of_the_slice_is_recognised(shop, tables, gate_settings, name, column, value):  # noqa: PLR0917
    drawn = draw_slice(shop.lists, tables, gate_settings)
    chosen = lists_of_slice(drawn, shop.lists, tables).iloc[0]
    touched = {
        "requests": chosen["request_id"],
        "candidates": chosen["request_id"],
        "users": chosen["user_id"],
        "items": chosen["candidate_item_ids"][0],
    }[name]
    table = getattr(tables, name).copy()
    row = table.index[table.iloc[:, 0] == touched][0]
    table.loc[row, column] = value
    with pytest.raises(ValueError, match=r"the slice has SHA-256 \w+…; allowed: \w+…, as it was drawn"):
        lists_of_slice(drawn, shop.lists, replace(tables, **{name: table}))


def test_other_clicks_are_recognised(shop, tables, gate_settings):
    drawn = draw_slice(shop.lists, tables, gate_settings)
    row = shop.lists.index[shop.lists["request_id"] == drawn["request_ids"][0]][0]
    clicks = shop.lists["clicks"].copy()
    clicks.loc[row] = 1 - clicks.loc[row]
    with pytest.raises(ValueError, match="the slice has SHA-256"):
        lists_of_slice(drawn, shop.lists.assign(clicks=clicks), tables)


def test_what_the_slice_does_not_touch_and_the_order_of_rows_change_nothing(shop, tables, gate_settings):
    drawn = draw_slice(shop.lists, tables, gate_settings)
    ids = drawn["request_ids"]
    shuffled = FeatureTables(
        **{name: table.sample(frac=1, random_state=1) for name, table in vars(tables).items()}
    )
    assert content_sha256(ids, shop.lists.sample(frac=1, random_state=2), shuffled) == drawn["sha256"]
    outside = ~tables.candidates["request_id"].isin(ids)
    scores = tables.candidates["ranking_score"].where(~outside, 0.0)
    other = replace(tables, candidates=tables.candidates.assign(ranking_score=scores))
    assert content_sha256(ids, shop.lists, other) == drawn["sha256"]


def test_a_user_is_new_below_so_many_requests_in_training():
    lists = pd.DataFrame(
        {
            "request_id": [1, 2, 3, 4, 5, 6, 7],
            "user_id": ["ann", "ann", "bob", "ann", "bob", "zoe", "bob"],
            "split": ["train", "validation", "train", "test", "test", "test", "test"],
        }
    )
    users = users_by_request(lists[lists["split"] == "test"], lists, old_user_requests=2)
    assert users["request_id"].to_list() == [4, 5, 6, 7]
    assert users["users"].to_list() == ["old", "new", "new", "new"]
    assert users["user"].to_list() == [0, 1, 2, 1]


@pytest.mark.parametrize("missing", [None, float("nan")])
def test_requests_whose_user_is_unknown_are_nobody_elses(missing):
    lists = pd.DataFrame({"request_id": [1, 2, 3, 4], "user_id": [missing, 5, missing, 5], "split": "test"})
    users = users_by_request(lists, lists, old_user_requests=2)["user"]
    assert users.nunique() == 3
    assert users[1] == users[3]
