from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest

from degre_pipeline.sources.request_log import (
    CANDIDATE_COLUMNS,
    EXPOSURE_COLUMNS,
    RequestLog,
    conform,
    fill_derived_columns,
)


def test_rank_is_by_score_with_ties_by_index_and_null_without_a_score(small_log: RequestLog) -> None:
    candidates = conform(small_log).candidates

    assert list(candidates.columns) == list(CANDIDATE_COLUMNS)
    ranks = candidates["ranking_rank"].astype("object").where(candidates["ranking_rank"].notna(), None)
    assert list(ranks) == [2, 1, 3, None, 1]


def test_candidate_index_is_joined_and_null_for_an_item_that_was_no_candidate(small_log: RequestLog) -> None:
    exposures = conform(small_log).exposures

    assert list(exposures.columns) == list(EXPOSURE_COLUMNS)
    index = exposures["candidate_index"].astype("object").where(exposures["candidate_index"].notna(), None)
    assert list(index) == [2, 0, None, 0]


def test_derived_columns_do_not_depend_on_the_order_of_rows(small_log: RequestLog) -> None:
    expected = conform(small_log)

    turned = conform(
        replace(small_log, candidates=small_log.candidates[::-1], exposures=small_log.exposures[::-1])
    )

    pd.testing.assert_frame_equal(turned.candidates, expected.candidates)
    pd.testing.assert_frame_equal(turned.exposures, expected.exposures)


def test_derived_columns_are_computed_anew(small_log: RequestLog) -> None:
    once = conform(small_log)
    wrong = replace(once, candidates=once.candidates.assign(ranking_rank=9))

    pd.testing.assert_frame_equal(fill_derived_columns(wrong).candidates, once.candidates)


def test_a_log_that_conforms_stays_as_it_is(small_log: RequestLog) -> None:
    once = conform(small_log)

    for name, table in conform(once).tables():
        pd.testing.assert_frame_equal(table, getattr(once, name))


def test_types_and_unknown_values_are_filled_in(small_log: RequestLog) -> None:
    log = conform(replace(small_log, candidates=small_log.candidates.drop(columns="ranking_score")))

    assert log.requests["requested_at"].dtype == np.dtype("datetime64[us]")
    assert log.requests["user_id"].dtype == "str"
    assert log.exposures[["conversion", "price"]].isna().all(axis=None)
    assert log.candidates["ranking_score"].isna().all()
    assert log.candidates["ranking_rank"].isna().all()
    assert list(log.requests["hour"]) == [9, 21]


def test_a_time_with_a_zone_becomes_utc(small_log: RequestLog) -> None:
    times = ["2024-05-17 09:30:00+02:00", "2024-05-18 21:00:00+02:00"]

    log = conform(replace(small_log, requests=small_log.requests.assign(requested_at=times)))

    assert log.requests["requested_at"].iloc[0] == pd.Timestamp("2024-05-17 07:30:00")


def test_plain_dates_are_times(small_log: RequestLog) -> None:
    dates = [date(2024, 5, 17), date(2024, 5, 18)]

    log = conform(replace(small_log, requests=small_log.requests.assign(requested_at=dates)))

    assert list(log.requests["requested_at"]) == [pd.Timestamp("2024-05-17"), pd.Timestamp("2024-05-18")]


def test_a_missing_column_is_named(small_log: RequestLog) -> None:
    broken = replace(small_log, exposures=small_log.exposures.drop(columns="click"))

    with pytest.raises(ValueError, match=r"'exposures' lacks the column\(s\) \['click'\].*'slot'.*required"):
        conform(broken)


@pytest.mark.parametrize(
    ("table", "column", "values", "message"),
    [
        ("exposures", "click", [0, 2, 0, 1], r"'exposures.click'.*2.*required is 0 or 1"),
        ("exposures", "click", [0, None, 0, 1], r"'exposures.click' has 1 missing value.*allowed is none"),
        ("exposures", "slot", [1, 2, 0, 2], r"'exposures.slot' has the value 0, allowed is 1 or more"),
        (
            "exposures",
            "price",
            ["1 EUR", "2 EUR", "3", "4"],
            r"'exposures.price'.*'1 EUR'.*required is numbers",
        ),
        ("requests", "request_id", [1.5, 2.0], r"'requests.request_id'.*1.5.*required is whole numbers"),
        ("requests", "requested_at", ["soon", "later"], r"'requests.requested_at'.*soon.*date and time"),
        ("requests", "requested_at", [17, 18], r"'requests.requested_at'.*int64.*date and time"),
        ("requests", "user_id", [1, 2], r"type of 'user_id': .*'requests': 'int64'.*'users': 'str'"),
        ("requests", "request_id", [1, 1], r"'requests' repeats {'request_id': 1}"),
        ("candidates", "item_id", ["a", "b", "b", "b", "c"], r"'candidates' repeats .*'item_id': 'b'"),
        ("candidates", "candidate_index", [-1, 1, 2, 0, 1], r"'candidates.candidate_index' has the value -1"),
        ("users", "user_id", ["ann", "ann"], r"'users' repeats {'user_id': 'ann'}"),
        ("items", "item_id", ["a", "b", "c", None], r"'items.item_id' has 1 missing value"),
        ("items", "item_id", [True, False, True, False], r"'items.item_id'.*bool.*whole numbers or strings"),
    ],
)
def test_bad_values_are_named(
    small_log: RequestLog, table: str, column: str, values: list[object], message: str
) -> None:
    broken = replace(small_log, **{table: getattr(small_log, table).assign(**{column: values})})

    with pytest.raises(ValueError, match=message):
        conform(broken)
