"""The simulated shop's request-log tables."""

import datetime
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from degre_pipeline.simulation.click_world import ClickTruth
from degre_pipeline.simulation.shop import ShopConfig
from degre_pipeline.sources.request_log import RequestLog
from degre_pipeline.sources.simulated_shop import simulate_request_log

CONFIG = ShopConfig(users=30, items=40, requests_per_day=50, days=3)
RUN_DATE = datetime.date(2024, 5, 17)


@pytest.fixture(scope="module")
def simulated() -> tuple[RequestLog, ClickTruth]:
    return simulate_request_log(CONFIG, RUN_DATE)


def test_sizes_and_keys(simulated: tuple[RequestLog, ClickTruth]) -> None:
    log, truth = simulated
    sizes = {name: len(table) for name, table in log.tables()}
    assert sizes == {"requests": 150, "candidates": 1_800, "exposures": 900, "users": 30, "items": 40}
    assert log.requests["request_id"].is_unique
    np.testing.assert_array_equal(log.requests["request_id"], truth.request_id)
    assert set(log.requests["user_id"]) <= set(log.users["user_id"])
    assert set(log.candidates["item_id"]) <= set(log.items["item_id"])


def test_requests_lie_within_the_days_up_to_the_run_date(simulated: tuple[RequestLog, ClickTruth]) -> None:
    requests = simulated[0].requests
    dates = requests["requested_at"].dt.date
    assert dates.value_counts().to_dict() == {
        RUN_DATE - datetime.timedelta(days=back): 50 for back in range(3)
    }
    assert requests["requested_at"].is_monotonic_increasing
    np.testing.assert_array_equal(requests["hour"], requests["requested_at"].dt.hour)
    np.testing.assert_array_equal(requests["weekday"], requests["requested_at"].dt.day_of_week)


def test_exposures_are_candidates_in_slots_without_gaps(simulated: tuple[RequestLog, ClickTruth]) -> None:
    log, _ = simulated
    assert log.exposures["slot"].tolist() == list(range(1, 7)) * 150
    joined = log.exposures.merge(
        log.candidates, on=["request_id", "candidate_index"], suffixes=("", "_of_candidate"), validate="1:1"
    )
    assert len(joined) == 900
    np.testing.assert_array_equal(joined["item_id"], joined["item_id_of_candidate"])
    assert (log.exposures["conversion"] <= log.exposures["click"]).all()


def test_rows_of_the_tables_are_rows_of_the_truth(simulated: tuple[RequestLog, ClickTruth]) -> None:
    log, truth = simulated
    categories = log.candidates.merge(log.items, on="item_id", how="left", validate="m:1")["category"]
    expected = [f"category_{number}" for number in truth.categories.ravel()]
    assert categories.tolist() == expected
    errors = log.candidates["ranking_score"].to_numpy() - truth.stand_alone_logits.ravel()
    assert np.std(errors) == pytest.approx(CONFIG.ranking_noise, rel=0.1)


def test_a_date_does_not_depend_on_the_window(simulated: tuple[RequestLog, ClickTruth]) -> None:
    log, _ = simulated
    yesterday = RUN_DATE - datetime.timedelta(days=1)
    other, _ = simulate_request_log(replace(CONFIG, days=1), yesterday)
    ids = other.requests["request_id"]
    for name in ("requests", "candidates", "exposures"):
        rows = getattr(log, name)
        same_date = rows[rows["request_id"].isin(ids)].reset_index(drop=True)
        pd.testing.assert_frame_equal(same_date, getattr(other, name))
    pd.testing.assert_frame_equal(log.items, other.items)
