import datetime
import json
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from degre_pipeline.reranker.tokens import as_objects, tags, token

NOON = "2026-01-31T12:00:00"


@pytest.mark.parametrize(
    ("as_json", "same"),
    [
        ("12", [12, 12.0, "12", np.int64(12), np.float32(12), np.uint64(12), Decimal("12.00"), b"12"]),
        ("1.5", [1.5, np.float16(1.5), Decimal("1.50"), Decimal("1.5")]),
        ("0.1", [0.1, np.float32(0.1), Decimal("0.1")]),
        ("0.00001", [Decimal("0.00001"), np.float32(0.00001), 1e-5]),
        ("1e22", [Decimal("1E+22"), 10**22, 1e22]),
        ("18446744073709551615", [2**64 - 1, np.uint64(2**64 - 1), Decimal(2**64 - 1)]),
        ("12345678901234567891", [Decimal("12345678901234567891")]),
        ("true", [True, np.bool_(True), "True", "true"]),
        ("false", [False, np.bool_(False), "False", "false"]),
        ("null", [None, float("nan"), np.float32("nan"), pd.NaT, np.datetime64("NaT"), Decimal("nan"), ""]),
        ('"shoes"', [b"shoes", "shoes", np.str_("shoes")]),
        (f'"{NOON}"', [pd.Timestamp(NOON), np.datetime64(NOON, "ns"), datetime.datetime(2026, 1, 31, 12)]),
        ('"2026-01-31"', [datetime.date(2026, 1, 31)]),
    ],
)
def test_a_value_of_a_table_has_the_token_of_its_json(as_json: str, same: list[object]) -> None:
    assert {token(value) for value in same} == {token(json.loads(as_json))}


@pytest.mark.parametrize("text", ["01", "1.50", " 1", "+1", "1E3", "NA", "None", "null", "nan", "TRUE"])
def test_a_text_is_its_own_token(text: str) -> None:
    assert token(text) == text


@pytest.mark.parametrize("value", [datetime.timedelta(1), ["a"], {"a": 1}, np.timedelta64(1, "s")])
def test_a_value_that_no_text_stands_for_is_named(value: object) -> None:
    with pytest.raises(ValueError, match="allowed: a text, a number, a truth value or a time"):
        token(value)


def test_tags_are_tokens_joined_by_a_bar() -> None:
    assert tags("b|True||01") == ["b", "true", "01"]
    assert tags(None) == tags("") == []
    assert tags(7.0) == ["7"]


def test_arrays_become_objects_of_the_same_tokens() -> None:
    noons = np.array([NOON, "NaT"], dtype="datetime64[ns]")
    assert [token(value) for value in as_objects(noons)] == [NOON, ""]
    assert as_objects(np.array([[0.1, 2.0]], dtype=np.float32)).tolist() == [[0.1, 2.0]]
    assert [token(value) for value in as_objects([True, 1, "1", 2**64])] == ["true", "1", "1", str(2**64)]
