"""Whatever is sent, the answer is a list of the given candidates or says what was wrong; never a 5xx."""

import json
from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)
from service_process import Client
from small_models import LIST_LENGTH

EXAMPLES = 150
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["new", "drama|noir", 2**63, -(2**63), 1e308, 2**2000])
)
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
)
CANDIDATES = st.lists(
    st.fixed_dictionaries(
        {"item_id": st.integers(0, 50) | st.text(max_size=5), "ranking_score": st.floats(-9, 9) | SCALARS},
        optional={"genres": SCALARS, "price": SCALARS, "colour": SCALARS},
    ),
    max_size=140,
)
NEARLY_RIGHT = st.fixed_dictionaries(
    {"candidates": CANDIDATES | ANYTHING},
    optional={
        "request_id": SCALARS,
        "user": st.dictionaries(st.sampled_from(["segment", "age", "colour"]), SCALARS) | ANYTHING,
        "context": st.dictionaries(st.sampled_from(["weekday"]), SCALARS) | ANYTHING,
        "extra": ANYTHING,
    },
)
RIGHT = st.fixed_dictionaries(
    {
        "candidates": st.lists(
            st.fixed_dictionaries(
                {"item_id": st.integers(0, 10**6), "ranking_score": st.floats(-9, 9)},
                optional={
                    "genres": st.none() | st.text(max_size=9),
                    "price": st.none() | st.floats(allow_nan=False, allow_infinity=False),
                },
            ),
            min_size=1,
            max_size=128,
            unique_by=lambda one: one["item_id"],
        )
    },
    optional={"user": st.fixed_dictionaries({}, optional={"segment": st.text() | st.booleans()})},
)


@pytest.fixture(scope="module")
def document(running):
    return schemathesis.openapi.from_url(f"http://127.0.0.1:{running.port}/openapi.json")


@pytest.fixture(scope="module")
def client(running) -> Iterator[Client]:
    with Client(running.port) as kept:
        yield kept


def assert_lists_of_the_given(body, answer) -> None:
    requests = body.get("requests", [body])
    assert len(answer["lists"]) == len(requests)
    for request, one in zip(requests, answer["lists"], strict=True):
        ids = [candidate["item_id"] for candidate in request["candidates"]]
        assert len(one["item_ids"]) == min(LIST_LENGTH, len(ids))
        assert len(set(one["candidate_indices"])) == len(one["candidate_indices"])
        assert one["item_ids"] == [ids[index] for index in one["candidate_indices"]]


@pytest.mark.parametrize(
    ("path", "method", "mode"),
    [
        ("/rerank", "POST", GenerationMode.POSITIVE),
        ("/rerank", "POST", GenerationMode.NEGATIVE),
        *((path, "GET", GenerationMode.POSITIVE) for path in ("/version", "/metrics")),
        *((path, "GET", GenerationMode.POSITIVE) for path in ("/health/live", "/health/ready")),
    ],
)
def test_what_the_document_allows_and_forbids(document, path, method, mode):
    operation = document[path][method]

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(max_examples=EXAMPLES if path == "/rerank" else 5, suppress_health_check=list(HealthCheck))
    def answers_as_documented(case):
        case.call_and_validate(checks=CHECKS)

    answers_as_documented()


@given(body=NEARLY_RIGHT)
@settings(max_examples=EXAMPLES)
def test_what_is_nearly_right(client, body):
    status, answer = client.rerank(body)
    assert status in (200, 422)
    if status == 200:
        assert_lists_of_the_given(body, answer)
    else:
        assert answer["detail"]


@given(bodies=st.lists(RIGHT, min_size=1, max_size=4))
@settings(max_examples=EXAMPLES)
def test_what_is_right_is_ranked(client, bodies):
    body = {"requests": bodies} if len(bodies) > 1 else bodies[0]
    status, answer = client.rerank(body)
    assert status == 200
    assert_lists_of_the_given(body, answer)
    assert all(one["fallback"] is None for one in answer["lists"])


@given(text=st.binary(max_size=300) | ANYTHING.map(lambda value: json.dumps(value).encode()))
@settings(max_examples=EXAMPLES)
def test_what_is_anything_at_all(client, text):
    status, answer = client.call("POST", "/rerank", text)
    assert status == 422
    assert json.loads(answer)["detail"]
