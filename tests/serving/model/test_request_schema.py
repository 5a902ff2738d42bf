from dataclasses import replace

import numpy as np
import pytest

from degre_pipeline.reranker.schema import Field
from degre_pipeline.serving.model.request_schema import Request, RequestSchema


@pytest.fixture
def check(space):
    schema = RequestSchema.of(space)
    return lambda request, **how: schema.check(request, 0, **how)


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
        {"colour": "red"},
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
        ({"user": {"age": "33"}}, r"request 7, user, field 'age': value is '33'; allowed: a finite number"),
        ({"request_id": None, "candidates": []}, r"request 0: candidates is \[\]"),
    ],
)
def test_bad_request_is_named(check, requests, parts, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        check(replace(requests[0], **parts))


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"user": {"name": "Ada"}}, r"user: unknown keys \['name'\].*allowed: \['age', 'segment'\]"),
        ({"context": {"hour": 3}}, r"context: unknown keys \['hour'\].*allowed: \['weekday'\]"),
        (
            {"candidates": [{"item_id": 1, "ranking_score": 0.5, "colour": "red"}]},
            r"candidate 0: unknown keys \['colour'\], missing keys \[\]; allowed: \['category', ",
        ),
    ],
)
def test_a_strict_check_refuses_what_another_leaves_alone(check, space, requests, parts, message):
    request = replace(requests[0], **parts)
    check(request)
    with pytest.raises(ValueError, match=f"^request 7, {message}"):
        check(request, strict=True)


def test_unknown_keys_are_told_by_part(space, requests):
    request = replace(
        requests[0],
        user={"segment": "new", "name": "Ada"},
        context={},
        candidates=[
            {"item_id": 1, "ranking_score": 1.0},
            {"item_id": 2, "ranking_score": 1.0, "colour": 3, "x": 4},
        ],
    )
    found = RequestSchema.of(space).unknown_keys(request)
    assert found == {"user": {"name"}, "context": set(), "candidate": {"colour", "x"}}


NUMBERS = (Field("offer_price", "numeric", "score"), Field("ranking_score", "numeric", "score"))


@pytest.mark.parametrize("price", [{}, {"offer_price": None}, {"offer_price": float("nan")}])
def test_of_numeric_scores_only_the_ranking_score_is_required(price):
    schema = RequestSchema(user=(), context=(), candidate=NUMBERS)
    schema.check(Request([{"item_id": 1, "ranking_score": 0.5, **price}], {}, {}), 0)
    with pytest.raises(ValueError, match=r"missing keys \['ranking_score'\]"):
        schema.check(Request([{"item_id": 1, **price}], {}, {}), 0)


@pytest.mark.parametrize("score", [{}, {"ranking_score": None}, {"ranking_score": float("nan")}])
def test_a_model_that_scores_itself_takes_scores_for_all_candidates_or_for_none(score):
    schema = RequestSchema(user=(), context=(), candidate=NUMBERS, scores_itself=True)
    schema.check(Request([{"item_id": 1, **score}, {"item_id": 2}], {}, {}), 0)
    with pytest.raises(ValueError, match=r"request 0, candidate 1: ranking_score is missing.*for none"):
        schema.check(Request([{"item_id": 1, "ranking_score": 0.5}, {"item_id": 2, **score}], {}, {}), 0)
    with pytest.raises(ValueError, match=r"'ranking_score': value is inf; allowed: a finite number"):
        schema.check(Request([{"item_id": 1, "ranking_score": float("inf")}], {}, {}), 0)
