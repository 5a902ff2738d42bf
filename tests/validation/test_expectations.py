"""Every rule of every table: the error names the row, its value and what is allowed."""

import pandas as pd
import pytest
from small_tables import INF, NAN, TABLES, candidates, changed, exposures, items, lists, requests, users

from degre_pipeline.validation import InvalidTableError, TableValidator


@pytest.fixture
def check(tmp_path, monkeypatch):
    # Writing the pages takes longer than everything else here; test_table_validator.py writes them.
    monkeypatch.setattr("degre_pipeline.validation.validator.build_site", lambda *_: None)
    return lambda table, frame: TableValidator(table, path=str(tmp_path)).validate(frame)


@pytest.mark.parametrize("table", TABLES)
def test_good_table_comes_back_as_it_came(check, table):
    frame = TABLES[table]()
    assert check(table, frame) is frame
    pd.testing.assert_frame_equal(frame, TABLES[table]())


@pytest.mark.parametrize(
    ("table", "frame"),
    [
        ("candidates", candidates().assign(ranking_score=NAN, ranking_rank=NAN)),
        ("candidates", candidates().sample(frac=1, random_state=0)),
        ("candidates", candidates().assign(item_id=["a", "b", "c", "a", "d"])),
        ("exposures", exposures().assign(conversion=NAN, price=NAN)),
        ("lists", lists().assign(candidate_scores=[[NAN, NAN, NAN], [NAN, NAN]])),
    ],
    ids=["no scores", "shuffled rows", "text ids", "unknown outcomes", "lists without scores"],
)
def test_unknown_values_are_allowed_where_the_tables_allow_them(check, table, frame):
    assert check(table, frame) is frame


REQUEST_2 = "request_id: 2"
BROKEN = [
    ("requests", lambda: requests().assign(request_id=[7, 7]), "request_id occurs once", "{request_id: 7}"),
    ("requests", lambda: changed(requests(), "user_id", 1, None), "user_id is never missing", REQUEST_2),
    (
        "requests",
        lambda: changed(requests(), "requested_at", 1, pd.NaT),
        "requested_at is never missing",
        REQUEST_2,
    ),
    ("requests", lambda: requests().iloc[:0], "one row or more", "0"),
    (
        "candidates",
        lambda: changed(candidates(), "item_id", 4, 10),
        "request_id and item_id occurs once",
        "{request_id: 2, candidate_index: 1, item_id: 10}",
    ),
    (
        "candidates",
        lambda: changed(candidates(), "candidate_index", 4, 2),
        "without a gap",
        "{request_id: 2, candidate_index: 2, item_id: 13, expected_index: 1}",
    ),
    (
        "candidates",
        lambda: changed(candidates(), "candidate_index", 1, 0),
        "without a gap or a repetition",
        "{request_id: 1, candidate_index: 0, item_id: 11, expected_index: 1}",
    ),
    (
        "candidates",
        lambda: changed(candidates(), "ranking_score", 3, NAN),
        "ranking_score is there in all rows or in none",
        "{request_id: 2, candidate_index: 0, item_id: 10, score_to_check: nan}",
    ),
    (
        "candidates",
        lambda: changed(candidates(), "ranking_score", 3, -INF),
        "ranking_score is finite",
        "{request_id: 2, candidate_index: 0, item_id: 10, score_to_check: -inf}",
    ),
    (
        "candidates",
        lambda: changed(candidates(), "ranking_rank", 3, 0),
        "ranking_rank is finite, not below 1",
        "candidate_index: 0, item_id: 10, ranking_rank: 0}",
    ),
    (
        "exposures",
        lambda: changed(exposures(), "slot", 1, 3),
        "slot counts 1, 2, 3",
        "{request_id: 1, slot: 3, item_id: 10, expected_slot: 2}",
    ),
    (
        "exposures",
        lambda: changed(exposures(), "slot", 2, 0),
        "slot counts 1, 2, 3",
        "slot: 0, item_id: 13",
    ),
    (
        "exposures",
        lambda: changed(exposures(), "candidate_index", 2, pd.NA),
        "every exposed item is a candidate",
        "{request_id: 2, slot: 1, item_id: 13, candidate_index: <NA>}",
    ),
    (
        "exposures",
        lambda: changed(exposures(), "click", 1, 2),
        r"click is one of [0, 1]",
        "{request_id: 1, slot: 2, item_id: 10, click: 2}",
    ),
    (
        "exposures",
        lambda: changed(exposures(), "conversion", 1, 0.5),
        r"conversion is one of [0, 1]",
        "{request_id: 1, slot: 2, item_id: 10, conversion: 0.5}",
    ),
    (
        "exposures",
        lambda: changed(exposures(), "price", 1, -1.0),
        "price is finite, not below 0",
        "{request_id: 1, slot: 2, item_id: 10, price: -1.0}",
    ),
    (
        "exposures",
        lambda: changed(exposures(), "item_id", 1, 12),
        "request_id and item_id occurs once",
        "{request_id: 1, slot: 1, item_id: 12}, {request_id: 1, slot: 2, item_id: 12}",
    ),
    ("users", lambda: users().assign(user_id=["u1", "u1"]), "user_id occurs once", "{user_id: 'u1'}"),
    ("items", lambda: items().assign(item_id=[10, 11, 10]), "item_id occurs once", "{item_id: 10}"),
    ("lists", lambda: lists().assign(request_id=[2, 2]), "request_id occurs once", REQUEST_2),
    (
        "lists",
        lambda: changed(lists(), "split", 1, "tset"),
        "split is one of",
        "{request_id: 2, split: 'tset'}",
    ),
    ("lists", lambda: changed(lists(), "role", 1, "both"), "role is one of", "{request_id: 2, role: 'both'}"),
    (
        "lists",
        lambda: changed(lists(), "candidate_item_ids", 1, [10, 10]),
        "names each item once",
        "{request_id: 2, n_distinct_candidates: 1, n_candidates: 2}",
    ),
    (
        "lists",
        lambda: changed(lists(), "candidate_scores", 1, [1.0]),
        "one score a candidate",
        "{request_id: 2, n_scores: 1, n_candidates: 2}",
    ),
    (
        "lists",
        lambda: changed(lists(), "candidate_scores", 1, [1.0, INF]),
        "finite, or missing in all rows",
        "{request_id: 2, n_unusable_scores: 1}",
    ),
    (
        "lists",
        lambda: changed(lists(), "candidate_scores", 1, [NAN, 1.0]),
        "finite, or missing in all rows",
        "{request_id: 2, n_unusable_scores: 1}",
    ),
    (
        "lists",
        lambda: changed(changed(lists(), "exposed_indices", 1, []), "clicks", 1, []),
        "n_exposed is finite, not below 1",
        "{request_id: 2, n_exposed: 0}",
    ),
    (
        "lists",
        lambda: changed(lists(), "exposed_indices", 1, [0, 1, 2]),
        "at least as many candidates as exposed slots",
        "{request_id: 2, n_candidates: 2, n_exposed: 3}",
    ),
    (
        "lists",
        lambda: changed(lists(), "exposed_indices", 1, [1, 1]),
        "names each candidate once",
        "{request_id: 2, n_distinct_exposed: 1, n_exposed: 2}",
    ),
    (
        "lists",
        lambda: changed(lists(), "exposed_indices", 1, [-1]),
        "min_exposed_index is finite, not below 0",
        "{request_id: 2, min_exposed_index: -1.0}",
    ),
    (
        "lists",
        lambda: changed(lists(), "exposed_indices", 1, [2]),
        "below the number of candidates",
        "{request_id: 2, n_candidates: 2, max_exposed_index: 2.0}",
    ),
    (
        "lists",
        lambda: changed(lists(), "clicks", 1, [0, 1]),
        "one outcome an exposed slot",
        "{request_id: 2, n_clicks: 2, n_exposed: 1}",
    ),
    (
        "lists",
        lambda: changed(lists(), "clicks", 1, [2]),
        "max_click is one of",
        "{request_id: 2, max_click: 2.0}",
    ),
    (
        "lists",
        lambda: changed(lists(), "clicks", 1, [-1]),
        "min_click is one of",
        "{request_id: 2, min_click: -1.0}",
    ),
]


@pytest.mark.parametrize(
    ("table", "broken", "rule", "row"), BROKEN, ids=[f"{case[0]}: {case[2][:40]}" for case in BROKEN]
)
def test_broken_rule_names_the_row_its_value_and_what_is_allowed(check, table, broken, rule, row):
    with pytest.raises(InvalidTableError) as caught:
        check(table, broken())
    lines = [line for line in str(caught.value).splitlines() if rule in line]
    assert len(lines) == 1, str(caught.value)
    assert row in lines[0]


@pytest.mark.parametrize(
    ("table", "broken", "expected"),
    [
        (
            "requests",
            lambda: requests().drop(columns="user_id"),
            "user_id holds values of the kind whole number or text; found: {user_id: 'no such column'}",
        ),
        (
            "requests",
            lambda: requests().assign(requested_at=["2026", "2027"]),
            "requested_at holds values of the kind time; found: {requested_at: 'text'}",
        ),
        (
            "exposures",
            lambda: exposures().assign(click=[True, False, True]),
            "click holds values of the kind whole number; found: {click: 'other'}",
        ),
        (
            "candidates",
            lambda: candidates().assign(candidate_index=[0.0, 1.0, 2.0, 0.0, NAN]),
            "candidate_index holds values of the kind whole number; found: {candidate_index: 'number'}",
        ),
        (
            "lists",
            lambda: lists().assign(clicks=[1, 0]),
            "clicks holds values of the kind list; found: {clicks: 'whole number'}",
        ),
    ],
)
def test_wrong_column_is_named(check, table, broken, expected):
    with pytest.raises(InvalidTableError) as caught:
        check(table, broken())
    assert expected in str(caught.value)
    assert f"The table {table!r} breaks 1 of" in str(caught.value)
