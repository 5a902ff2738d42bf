from dataclasses import replace

import numpy as np
import pytest

from degre_pipeline.serving.request_schema import Request, RequestSchema


@pytest.fixture
def check(space):
    schema = RequestSchema.of(space)
    return lambda request: schema.check(request, 0)


def with_candidate(request: Request, index: int, **values) -> Request:
    """The request with other values of one candidate; a value of ... takes the key away."""
    candidates = [dict(candidate) for candidate in request.candidates]
    candidates[index].update(values)
    candidates[index] = {key: value for key, value in candidates[index].items() if value is not ...}
    return replace(request, candidates=candidates)


def test_fields_lie_in_the_part_of_their_group(space):
    schema = RequestSchema.of(space)
    assert [field.name for field in schema.user] == ["segment", "age"]
    assert [field.name for field in schema.context] == ["weekday"]
    assert [field.name for field in schema.candidate] == ["category", "genres", "price", "ranking_score"]


@pytest.mark.parametrize(
    "values",
    [
        {"category": None},
        {"category": ...},
        {"category": "never seen"},
        {"category": 12},
        {"genres": float("nan")},
        {"price": float("nan")},
        {"price": np.float32(2.5)},
        {"ranking_score": np.int64(3)},
        {"item_id": "eleven"},
        {"item_id": np.int64(99)},
    ],
)
def test_missing_and_unknown_values_are_allowed(check, requests, values):
    check(with_candidate(requests[0], 0, **values))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"item_id": ...},
            r"unknown keys \[\], missing keys \['item_id'\]; allowed: \['category', ",
        ),
        ({"ranking_score": ...}, r"unknown keys \[\], missing keys \['ranking_score'\]"),
        (
            {"colour": "red"},
            r"unknown keys \['colour'\], missing keys \[\]; allowed: \['category', ",
        ),
        ({"item_id": None}, r"item_id is None; allowed: an integer or a text"),
        ({"item_id": 1.5}, r"item_id is 1\.5; allowed: an integer or a text"),
        ({"item_id": True}, r"item_id is True; allowed: an integer or a text"),
        ({"item_id": 11}, r"item_id is 11, as of candidate 0; allowed: every item once"),
        (
            {"ranking_score": float("nan")},
            r"field 'ranking_score': value is nan; allowed: a finite",
        ),
        ({"ranking_score": float("inf")}, r"field 'ranking_score': value is inf; allowed: a finite number"),
        ({"ranking_score": None}, r"field 'ranking_score': value is None; allowed: a finite number"),
        ({"ranking_score": "0.5"}, r"field 'ranking_score': value is '0\.5'; allowed: a finite number"),
        ({"price": float("-inf")}, r"field 'price': value is -inf; allowed: a finite number, or None"),
        ({"price": 10**400}, r"field 'price': value is 1000"),
        ({"price": "cheap"}, r"field 'price': value is 'cheap'; allowed: a finite number, or None"),
        ({"price": True}, r"field 'price': value is True; allowed: a finite number, or None"),
        ({"category": ["book"]}, r"field 'category': value is \['book'\]; allowed: a text, a number or"),
        ({"genres": ["noir"]}, r"field 'genres': value is \['noir'\]; allowed: a text of tags joined"),
    ],
)
def test_bad_candidate_is_named(check, requests, values, message):
    with pytest.raises(ValueError, match=r"^request 7, candidate 1[,:].*" + message):
        check(with_candidate(requests[0], 1, **values))


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"candidates": []}, r"request 7: candidates is \[\]; allowed: a list, not empty"),
        ({"candidates": None}, r"request 7: candidates is None; allowed: a list, not empty"),
        ({"candidates": [3]}, r"request 7, candidate 0 is 3; allowed: a mapping from field to value"),
        ({"user": None}, r"request 7, user is None; allowed: a mapping from field to value"),
        (
            {"user": {"name": "Ada"}},
            r"request 7, user: unknown keys \['name'\].*allowed: \['age', 'segment'\]",
        ),
        ({"user": {"age": "33"}}, r"request 7, user, field 'age': value is '33'; allowed: a finite number"),
        ({"context": {"hour": 3}}, r"request 7, context: unknown keys \['hour'\].*allowed: \['weekday'\]"),
        ({"request_id": None, "candidates": []}, r"request 0: candidates is \[\]"),
    ],
)
def test_bad_request_is_named(check, requests, parts, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        check(replace(requests[0], **parts))
