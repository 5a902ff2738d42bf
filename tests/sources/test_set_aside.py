"""A log with wrong rows: refused with all that is wrong, or read without the requests that are spoilt."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from degre_pipeline.reranker.schema import Field
from degre_pipeline.sources.field_kinds import in_declared_form
from degre_pipeline.sources.references import unknown_references
from degre_pipeline.sources.request_log import RequestLog, conform
from degre_pipeline.sources.set_aside import SpoiltLogError, conform_but_for_spoilt

REQUESTS = 10
FIELDS = (Field("hour", "numeric", "context"), Field("price", "numeric", "item"))
Tables = dict[str, pd.DataFrame]


@pytest.fixture
def tables() -> Tables:
    """Ten requests of users 1 to 10; request r hands over the items r, 100 + r and 200, and shows two."""
    ids = np.arange(1, REQUESTS + 1)
    items = np.stack([ids, 100 + ids, np.full(REQUESTS, 200)], axis=1)
    return {
        "requests": pd.DataFrame(
            {"request_id": ids, "user_id": ids, "requested_at": pd.Timestamp("2026-01-31"), "hour": 9.0}
        ),
        "candidates": pd.DataFrame(
            {
                "request_id": np.repeat(ids, 3),
                "candidate_index": np.tile([0, 1, 2], REQUESTS),
                "item_id": items.ravel(),
                "ranking_score": np.tile([0.5, 0.25, 0.0], REQUESTS),
            }
        ),
        "exposures": pd.DataFrame(
            {
                "request_id": np.repeat(ids, 2),
                "slot": np.tile([1, 2], REQUESTS),
                "item_id": items[:, :2].ravel(),
                "click": np.tile([1, 0], REQUESTS),
                "price": 2.5,
            }
        ),
        "users": pd.DataFrame({"user_id": ids}),
        "items": pd.DataFrame({"item_id": [*ids, *(100 + ids), 200], "price": 2.5}),
    }


def with_value(table: pd.DataFrame, row: int, column: str, value: object) -> pd.DataFrame:
    values = table[column].astype("str" if isinstance(value, str) else object)
    values.iloc[row] = value
    return table.assign(**{column: values.infer_objects()})


def spoilt(table: str, row: int, column: str, value: object) -> Callable[[Tables], Tables]:
    return lambda tables: {**tables, table: with_value(tables[table], row, column, value)}


def repeated(table: str, row: int) -> Callable[[Tables], Tables]:
    return lambda tables: {**tables, table: pd.concat([tables[table], tables[table].iloc[[row]]])}


def without(table: str, request: int) -> Callable[[Tables], Tables]:
    return lambda tables: {**tables, table: tables[table][tables[table]["request_id"] != request]}


# What is done to request 4 alone, the reason, and what the error says of the first offence.
FAULTS: dict[str, tuple[Callable[[Tables], Tables], str, str]] = {
    "no click": (
        spoilt("exposures", 6, "click", None),
        "exposures.click is missing",
        "1 missing value.* in 20 rows, the first in row 6",
    ),
    "a click that is none": (
        spoilt("exposures", 6, "click", "yes"),
        "exposures.click cannot be read",
        "'yes' in row 6.*required is 0 or 1",
    ),
    "no time": (
        spoilt("requests", 3, "requested_at", "soon"),
        "requests.requested_at cannot be read",
        "'soon' in row 3",
    ),
    "no user": (spoilt("requests", 3, "user_id", None), "requests.user_id is missing", "first in row 3"),
    "a slot left out": (
        spoilt("exposures", 7, "slot", 3),
        "exposures.slot leaves a gap or repeats",
        r"slot counts 1, 2, 3.*\{request_id: 4, slot: 3\}",
    ),
    "a candidate left out": (
        lambda tables: {**tables, "candidates": tables["candidates"].drop(index=10)},
        "candidates.candidate_index leaves a gap or repeats",
        r"counts 0, 1, 2.*\{request_id: 4, candidate_index: 2\}",
    ),
    "an exposure twice": (
        repeated("exposures", 6),
        "exposures repeats request_id and item_id",
        "'exposures' repeats .*'request_id': 4, .*may occur once",
    ),
    "a candidate twice": (
        repeated("candidates", 9),
        "candidates repeats request_id and candidate_index",
        "'candidates' repeats .*'request_id': 4, ",
    ),
    "a request twice": (repeated("requests", 3), "requests repeats request_id", "repeats {'request_id': 4}"),
    "an item that was no candidate": (
        spoilt("exposures", 7, "item_id", 1),
        "exposures shows what was no candidate",
        "every exposed item is a candidate of its request; found: {request_id: 4, slot: 2, item_id: 1}",
    ),
    "no exposure": (
        without("exposures", 4),
        "exposures lacks a request of requests",
        "request 4 of table 'requests' has no row in table 'exposures'",
    ),
    "no candidate": (
        without("candidates", 4),
        "candidates lacks a request of requests",
        "request 4 of table 'requests' has no row in table 'candidates'",
    ),
    "no row in requests": (
        without("requests", 4),
        "requests lacks a request of candidates",
        "request 4 of table 'candidates' has no row in table 'requests'",
    ),
    "no score": (
        spoilt("candidates", 9, "ranking_score", None),
        "candidates.ranking_score is missing in part",
        "a score in all rows or in none",
    ),
    "an infinite score": (
        spoilt("candidates", 9, "ranking_score", float("inf")),
        "candidates.ranking_score is infinite",
        "a finite score; found: {request_id: 4, candidate_index: 0",
    ),
    "a price below 0": (spoilt("exposures", 6, "price", -1.0), "exposures.price is no price", "price: -1.0"),
    "a field that is no number": (
        spoilt("requests", 3, "hour", "nine"),
        "requests.hour is no numeric value",
        "'nine' in row 3",
    ),
    "an item's field that is no number": (
        spoilt("items", 3, "price", float("inf")),
        "items.price is no numeric value",
        "'items.price' .*inf in row 3",
    ),
    "an item twice": (repeated("items", 3), "items repeats item_id", "repeats {'item_id': 4}"),
    "a user twice": (repeated("users", 3), "users repeats user_id", "repeats {'user_id': 4}"),
}


@pytest.mark.parametrize(("spoil", "reason", "found"), FAULTS.values(), ids=FAULTS)
def test_a_spoilt_request_is_set_aside_whole_or_refused_by_name(
    tables: Tables, spoil: Callable[[Tables], Tables], reason: str, found: str
) -> None:
    log = RequestLog(**spoil(tables))

    with pytest.raises(SpoiltLogError, match=rf"spoils 1 of 10 requests.*may_drop: 0\b[\s\S]*{found}"):
        conform_but_for_spoilt(log, FIELDS, 0.0)
    kept, set_aside = conform_but_for_spoilt(log, FIELDS, 0.1)
    kept = in_declared_form(kept, FIELDS)

    assert reason in set_aside["reason"].tolist()
    assert set(set_aside["request_id"]) == {4}
    others = [number for number in range(1, REQUESTS + 1) if number != 4]
    for name in ("requests", "candidates", "exposures"):
        assert getattr(kept, name)["request_id"].unique().tolist() == others
    expected = conform(RequestLog(**{**tables, **{name: of(tables[name], others) for name in OF_REQUESTS}}))
    for name in OF_REQUESTS:
        pd.testing.assert_frame_equal(getattr(kept, name), getattr(expected, name), check_dtype=False)


OF_REQUESTS = ("requests", "candidates", "exposures")


def of(table: pd.DataFrame, requests: list[int]) -> pd.DataFrame:
    return table[table["request_id"].isin(requests)]


def test_all_that_is_wrong_is_said_at_once(tables: Tables) -> None:
    for spoil in (
        spoilt("exposures", 0, "click", None),
        repeated("candidates", 5),
        without("requests", 4),
        spoilt("items", 9, "price", float("inf")),
    ):
        tables = spoil(tables)

    with pytest.raises(SpoiltLogError) as caught:
        conform_but_for_spoilt(RequestLog(**tables), FIELDS, 0.3)

    first, *rules = str(caught.value).splitlines()
    assert first.startswith(
        "The log breaks 7 rule(s), which spoils 4 of 10 requests, a share of 0.4; allowed by"
    )
    assert [line.partition(":")[0] for line in rules] == [
        "  - exposures.click is missing (1 row(s), 1 request(s))",
        "  - items.price is no numeric value (1 row(s), 1 request(s))",
        "  - candidates repeats request_id and candidate_index (2 row(s), 1 request(s))",
        "  - candidates repeats request_id and item_id (2 row(s), 1 request(s))",
        "  - candidates.candidate_index leaves a gap or repeats (1 row(s), 1 request(s))",
        "  - requests lacks a request of candidates (1 row(s), 1 request(s))",
        "  - requests lacks a request of exposures (1 row(s), 1 request(s))",
    ]


def test_a_row_that_names_no_request_is_refused_whatever_may_be_dropped(tables: Tables) -> None:
    broken = with_value(tables["exposures"], 6, "request_id", None)
    with pytest.raises(SpoiltLogError, match=r"exposures\.request_id is missing \(1 row"):
        conform_but_for_spoilt(RequestLog(**{**tables, "exposures": broken}), FIELDS, 0.9)


def test_users_and_items_without_a_name_are_left_out(tables: Tables) -> None:
    nameless = {
        name: pd.concat([tables[name], tables[name].iloc[:1].isna()[[]]]) for name in ("users", "items")
    }
    log = RequestLog(**{**tables, **nameless})
    with pytest.raises(SpoiltLogError, match=r"users\.user_id is missing[\s\S]*items\.item_id is missing"):
        conform_but_for_spoilt(log, FIELDS, 0.0)
    kept, set_aside = conform_but_for_spoilt(log, FIELDS, 0.01)
    assert len(kept.users) == REQUESTS
    assert len(kept.items) == 2 * REQUESTS + 1
    assert set_aside.empty


def test_a_sound_log_comes_as_conform_returns_it(tables: Tables) -> None:
    log = RequestLog(**tables)
    kept, set_aside = conform_but_for_spoilt(log, FIELDS, 0.0)
    for name, table in conform(log).tables():
        pd.testing.assert_frame_equal(getattr(kept, name), table)
    assert set_aside.columns.tolist() == ["request_id", "reason"]
    assert set_aside.empty


def test_a_log_of_which_nothing_is_left_says_why(tables: Tables) -> None:
    log = RequestLog(**{**tables, "exposures": tables["exposures"].assign(click="yes")})
    with pytest.raises(SpoiltLogError, match=r"spoils 10 of 10 requests, a share of 1;"):
        conform_but_for_spoilt(log, FIELDS, 0.5)


def test_users_and_items_without_a_row_are_counted(tables: Tables) -> None:
    assert list(unknown_references(conform(RequestLog(**tables)))) == []
    fewer = RequestLog(**{**tables, "users": tables["users"].iloc[1:], "items": tables["items"].iloc[:-1]})
    users, items = unknown_references(conform(fewer))
    assert users.startswith("1 of 10 rows of requests name a user_id that table users lacks, for example 1:")
    assert items.startswith(
        "10 of 30 rows of candidates name a item_id that table items lacks, for example 200"
    )


@pytest.mark.parametrize(
    ("name", "key", "field"),
    [("items", "item_id", FIELDS[1]), ("users", "user_id", Field("age", "numeric", "user"))],
)
def test_a_table_none_of_whose_rows_is_named_is_refused_where_its_fields_are_declared(
    tables: Tables, name: str, key: str, field: Field
) -> None:
    other = tables[name].assign(**{key: 1000 + np.arange(len(tables[name])), "age": 1.0})
    log = RequestLog(**{**tables, name: other})
    with pytest.raises(
        ValueError, match=rf"names no {key} of table '{name}': for example 1, .* has 1000; allowed"
    ):
        conform_but_for_spoilt(log, [field], 0.0)
    assert len(conform_but_for_spoilt(log, FIELDS[:1], 0.0)[0].requests) == REQUESTS
    nobody = replace(log, **{name: other.iloc[:0]})
    assert len(conform_but_for_spoilt(nobody, [field], 0.0)[0].requests) == REQUESTS
    one = replace(log, **{name: pd.concat([other, tables[name].iloc[:1]])})
    assert len(conform_but_for_spoilt(one, [field], 0.0)[0].requests) == REQUESTS


def test_one_user_of_many_requests_spoils_them_all(tables: Tables) -> None:
    one_user = replace(
        RequestLog(**tables),
        requests=tables["requests"].assign(user_id=4),
        users=tables["users"].iloc[[3, 3]],
    )
    with pytest.raises(SpoiltLogError, match="spoils 10 of 10 requests"):
        conform_but_for_spoilt(one_user, FIELDS, 0.1)
