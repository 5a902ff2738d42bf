"""The experiment's nodes as functions: who is in which arm, what is shown, what is refused."""

import datetime
import sys

import numpy as np
import pandas as pd
import pytest

from degre_pipeline.experiments.lift_rows import rows_of, sentence
from degre_pipeline.experiments.traffic import chosen, handed_over, ranking_order
from degre_pipeline.pipelines.online_experiment.nodes import (
    check_unseen,
    measure_lifts,
    observe_outcomes,
    open_shop,
    show_by_prm,
    show_ranking_order,
    split_users,
    train_prm,
    write_online_report,
)
from degre_pipeline.reports.experiment_page import groups_of, one
from degre_pipeline.reranker.baselines.prm import PrmConfig
from degre_pipeline.reranker.training.training_config import TrainingConfig
from degre_pipeline.simulation.online_experiment import ARMS, ExperimentConfig
from small_run import RUN
from small_shop import SHOP

RUN_DATE = "2026-01-31"
CONFIG = ExperimentConfig(days=2, salt="first", old_user_requests=15, bootstrap_samples=50, seed=0)
SERVED = {"model": "reranker", "alias": "champion", "version": "3", "runner": "<eager>"}


@pytest.fixture(scope="module")
def opened():
    return open_shop("simulated_shop", SHOP, RUN_DATE, CONFIG)


@pytest.fixture(scope="module")
def split(opened, shop_log):
    return split_users(opened[0], shop_log.requests, shop_log.users, shop_log.exposures, CONFIG)


@pytest.fixture(scope="module")
def prm_lists(opened, split, shop_data):
    tensors, space = shop_data
    model = PrmConfig(embedding_dim=4, width=8, blocks=1, heads=2, feedforward=16)
    training = TrainingConfig(epochs=1, batch_size=64, device="cpu", resume=False)
    trained, history = train_prm(tensors, space, model, training)
    assert list(history["epoch"]) == [1.0]
    return show_by_prm(split[0], opened[0], trained, space)


@pytest.fixture(scope="module")
def outcomes(opened, split, prm_lists):
    """With the reversed ranking order in place of the service's lists."""
    visits = split[0]
    plain = show_ranking_order(visits, SHOP)
    own = visits.loc[visits["arm"] == "degre", ["request_id"]].reset_index(drop=True)
    worst = pd.Series([[7, 6, 5, 4]] * len(own), index=own.index)
    reversed_order = own.assign(places=worst, fallback="", latency_ms=2.0)
    return observe_outcomes(visits, plain, prm_lists, reversed_order, *opened, SHOP, CONFIG)


def test_the_traffic_is_of_the_days_after_the_run_date(opened, shop_log):
    traffic, _ = opened
    days = set(traffic.requests["requested_at"].dt.date)
    assert days == {datetime.date(2026, 2, 1), datetime.date(2026, 2, 2)}
    assert set(traffic.requests["request_id"]).isdisjoint(shop_log.requests["request_id"])
    assert traffic.users.equals(shop_log.users)
    assert traffic.items.equals(shop_log.items)


def test_every_visit_is_in_its_users_arm_and_the_log_is_split_the_same_way(split):
    visits, before = split
    assert set(visits["arm"]) == set(ARMS)
    arms = pd.concat([visits, before])[["user_id", "arm"]].drop_duplicates()
    assert arms["user_id"].is_unique
    assert set(visits["users"]) == {"new", "old"}
    seen = before["user_id"].value_counts()
    assert visits.loc[visits["users"] == "old", "user_id"].map(seen).min() >= CONFIG.old_user_requests


def test_the_log_before_has_what_came_of_it(split, shop_log):
    before = split[1].set_index("request_id")
    shown = shop_log.exposures.groupby("request_id")
    assert before["clicks"].sum() == shop_log.exposures["click"].sum()
    assert before["orders"].sum() == shop_log.exposures["conversion"].sum()
    spent = (shop_log.exposures["conversion"] * shop_log.exposures["price"]).groupby(
        shop_log.exposures["request_id"]
    )
    pd.testing.assert_series_equal(before["revenue"].sort_index(), spent.sum(), check_names=False)
    assert (before["slots"].sort_index() == shown.size()).all()


def test_the_ranking_order_is_by_descending_score(opened):
    candidates = opened[0].candidates
    requests = candidates["request_id"].drop_duplicates().sample(20, random_state=0)
    order = ranking_order(candidates, requests)
    scores = candidates.pivot_table(index="request_id", columns="candidate_index", values="ranking_score")
    sorted_scores = np.take_along_axis(scores.loc[requests].to_numpy(), order, axis=1)
    assert (np.diff(sorted_scores, axis=1) <= 0).all()


def test_a_request_hands_over_the_candidates_in_the_ranking_order(opened, split, shop_data):
    visits, space = split[0].iloc[[3, 400, 17]], shop_data[1]
    candidates = opened[0].candidates.set_index(["request_id", "candidate_index"])["item_id"]
    order = ranking_order(opened[0].candidates, visits["request_id"])
    for request, own, wanted in zip(
        handed_over(visits, opened[0], space), order, visits["request_id"], strict=True
    ):
        assert request.request_id == wanted
        assert [one["item_id"] for one in request.candidates] == [candidates[wanted, index] for index in own]
        scores = [one["ranking_score"] for one in request.candidates]
        assert scores == sorted(scores, reverse=True)


def test_places_become_candidates_and_a_page_has_only_its_slots():
    order = np.array([[3, 1, 0, 2], [0, 1, 2, 3]])
    shown = chosen(pd.Series([[1, 0, 3], [2]]), order, 2)
    assert shown.tolist() == [[1, 3], [2, -1]]


def test_prm_orders_all_visits_of_its_arm(split, prm_lists):
    wanted = split[0].loc[split[0]["arm"] == "prm", "request_id"]
    assert prm_lists["request_id"].tolist() == wanted.tolist()
    assert all(len(set(places)) == 4 for places in prm_lists["places"])
    assert (prm_lists["latency_ms"] > 0).all()


def test_a_worse_order_earns_less_in_truth(outcomes):
    assert len(outcomes) == 500
    assert (outcomes["slots"] == 4).all()
    clicks = outcomes.groupby("arm")["clicks"].mean()
    assert clicks["degre"] < clicks["ranking_order"]


def test_rows_say_what_the_outcomes_say(outcomes, split):
    rows = measure_lifts(outcomes, split[1], CONFIG)
    arms = {arm: outcomes[outcomes["arm"] == arm] for arm in ARMS}
    for by, group in (("all", "all"), ("client", "app"), ("users", "new")):
        inside = {arm: own if by == "all" else own[own[by] == group] for arm, own in arms.items()}
        revenue = {arm: own["revenue"].sum() / len(own) for arm, own in inside.items()}
        level = one(rows, subject="prm", by=by, group=group, measure="revenue")
        assert level["value"] == pytest.approx(revenue["prm"])
        lift = one(rows, subject="degre", against="ranking_order", by=by, group=group, measure="revenue")
        assert lift["value"] == pytest.approx(revenue["degre"] / revenue["ranking_order"] - 1)
        assert lift["low"] < lift["value"] < lift["high"]
    assert one(rows, subject="degre", measure="latency_median_ms")["value"] == 2.0
    assert one(rows, subject="prm", measure="visits")["value"] == len(arms["prm"])
    assert rows == rows_of(outcomes, split[1], CONFIG)


def test_a_lift_is_told_in_percent():
    row = {"subject": "degre", "against": "prm", "measure": "click_through"}
    told = sentence({**row, "value": 0.0213, "low": 0.01, "high": None})
    assert told == "degre against prm: click-through +2.13% [+1.00%, +nan%]"


def test_the_report_shows_every_group_and_escapes_what_it_is_given(outcomes, split):
    rows = measure_lifts(outcomes, split[1], CONFIG)
    page = write_online_report(rows, SERVED, RUN_DATE, CONFIG, RUN)
    assert page.isascii()
    assert "&lt;eager&gt;" in page
    assert "data:image/svg+xml;base64," in page
    for _, group in groups_of(rows):
        assert f"<td>{group}</td>" in page
    assert "before the experiment" in page


def test_only_a_simulated_shop_can_answer():
    with pytest.raises(ValueError, match=r"ingestion\.source is 'movielens'; allowed: simulated_shop"):
        open_shop("movielens", SHOP, RUN_DATE, CONFIG)


def test_what_is_missing_of_the_service_is_named_before_anything_starts(monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(ModuleNotFoundError, match=r"needs uvicorn, which is not installed.*'\.\[serving\]'"):
        open_shop("simulated_shop", SHOP, RUN_DATE, CONFIG)


@pytest.mark.parametrize("last_day", ["2026-02-01", None])
def test_a_version_that_has_seen_the_days_is_refused(opened, last_day):
    check_unseen("2026-01-31", "3", opened[0].requests)
    with pytest.raises(ValueError, match=r"training_last_day of version 3 is .*; allowed: a day before"):
        check_unseen(last_day, "3", opened[0].requests)
