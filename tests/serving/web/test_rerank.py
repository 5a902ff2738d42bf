"""What callers get of a running service."""

import json
import re
from pathlib import Path

import pytest
import service_process
import yaml
from service_process import Client
from small_models import LIST_LENGTH, REQUESTS, SPACE, trained

from degre_pipeline.serving.model.reranking_model import build_reranker
from degre_pipeline.serving.model.signature import as_record


@pytest.fixture(scope="module")
def expected():
    """The lists of the trained generator of version 1."""
    return build_reranker(trained(0), SPACE).rerank(REQUESTS)


def assert_list(answered, ranked):
    assert answered["request_id"] == ranked.request_id
    assert answered["item_ids"] == list(ranked.item_ids)
    assert answered["candidate_indices"] == list(ranked.candidate_indices)
    assert answered["probabilities"] == pytest.approx(ranked.probabilities, abs=1e-5)
    assert answered["fallback"] is None


def test_one_request_gets_the_list_of_the_trained_generator(running, expected, body):
    status, answer = running.rerank(body)
    assert (status, answer["model_version"], len(answer["lists"])) == (200, "1", 1)
    assert_list(answer["lists"][0], expected[0])


def test_many_requests_get_theirs_in_order(running, expected):
    records = [as_record(request) for request in REQUESTS]
    status, answer = running.rerank({"requests": [records[1], records[0], records[1]]})
    assert status == 200
    for answered, ranked in zip(answer["lists"], [expected[1], expected[0], expected[1]], strict=True):
        assert_list(answered, ranked)


def test_a_request_without_id_gets_one(running, body):
    nameless = {key: value for key, value in body.items() if key != "request_id"}
    ids = [running.rerank(nameless)[1]["lists"][0]["request_id"] for _ in range(2)]
    assert len(set(ids)) == 2
    assert all(isinstance(one, str) and one for one in ids)


def test_unknown_values_and_a_single_candidate_are_ranked(running, body):
    stranger = {**body, "user": {"segment": "never seen"}, "candidates": body["candidates"][:1]}
    answered = running.rerank(stranger)[1]["lists"][0]
    assert (answered["item_ids"], answered["fallback"]) == ([11], None)
    assert answered["probabilities"] == pytest.approx([1.0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"candidates": []}, "candidates: List should have at least 1 item"),
        ({"candidates": "many"}, "candidates: Input should be a valid list"),
        ({"colour": "red"}, "colour: Extra inputs are not permitted"),
        ({"user": {"age": "old"}}, "request 7, user, field 'age': value is 'old'; allowed: a finite number"),
        ({"user": {"age": [1]}}, "request 7, user, field 'age': value is [1]; allowed: a finite number"),
        ({"user": None}, "user: Input should be a valid dictionary"),
        ({"request_id": True}, "request_id"),
        ({"request_id": 2**70}, "request_id"),
        ({"candidates": [{"ranking_score": 1.0}]}, "candidates.0.item_id: Field required"),
        (
            {"candidates": [{"item_id": 1}]},
            "request 7, candidate 0: unknown keys [], missing keys ['ranking_s",
        ),
        ({"candidates": [{"item_id": 1, "ranking_score": None}]}, "allowed: a finite number"),
        ({"candidates": [{"item_id": 1.5, "ranking_score": 1}]}, "candidates.0.item_id"),
        (
            {"candidates": [{"item_id": 1, "ranking_score": 1}] * 2},
            "request 7, candidate 1: item_id is 1, as of candidate 0; allowed: every item once",
        ),
        (
            {"candidates": [{"item_id": one, "ranking_score": 1} for one in range(129)]},
            "request 7: there are 129 candidates; allowed: 1 to 128",
        ),
    ],
)
def test_a_bad_request_is_told_what_is_allowed(running, body, change, message):
    status, answer = running.rerank({**body, **change})
    assert status == 422
    assert message in answer["detail"]


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"requests": []}',
        b'{"requests": [{}]}',
        b'{"requests": {}}',
        b"[" * 100_000,
        b'{"user":' * 50_000,
        b'{"candidates": [{"item_id": 1, "ranking_score": NaN}]}',
        b'{"candidates": [{"item_id": 1, "ranking_score": 1e999}]}',
        b'{"candidates": [{"item_id": 1, "ranking_score": -Infinity}]}',
        b'{"candidates": [{"item_id": "\\ud800", "ranking_score": 1}]}',
        b'{"candidates": [{"item_id": 1, "ranking_score": ' + b"9" * 5000 + b"}]}",
        b'{"candidates": [{"item_id": ' + b"9" * 100 + b', "ranking_score": 1}]}',
        json.dumps({"requests": [{"candidates": [{"item_id": 1, "ranking_score": 0}]}] * 65}).encode(),
    ],
)
def test_what_is_no_request_is_the_callers_fault(running, text):
    status, answer = running.call("POST", "/rerank", text)
    assert status == 422
    assert json.loads(answer)["detail"]


def test_a_bad_request_takes_no_other_of_its_body_with_it(running, expected):
    before = running.metric("degre_refused_requests_total")
    good = [as_record(request) for request in REQUESTS]
    too_large = {**good[0], "candidates": [{"item_id": 1, "ranking_score": 1e999}]}
    bad = [
        {"request_id": 5, "candidates": [{"item_id": 1}]},
        {"request_id": "six", "candidates": []},
        {"request_id": 1.5, "candidates": [{"item_id": 1, "ranking_score": 1}]},
        "seven",
    ]
    body = json.dumps({"requests": [bad[0], good[0], *bad[1:], good[1]]}).encode()
    status, text = running.call("POST", "/rerank", body)
    lists = json.loads(text)["lists"]
    assert status == 200
    assert_list(lists[1], expected[0])
    assert_list(lists[5], expected[1])
    refused = [lists[place] for place in (0, 2, 3, 4)]
    assert [one["request_id"] for one in refused] == [5, "six", None, None]
    assert all(one["item_ids"] == [] and one["fallback"] is None for one in refused)
    assert refused[0]["error"].startswith(
        "request 5, candidate 0: unknown keys [], missing keys ['ranking_score']"
    )
    assert refused[1]["error"].startswith("requests.2.candidates: List should have at least 1 item")
    assert refused[2]["error"].startswith("requests.3.request_id")
    assert refused[3]["error"].startswith("requests.4: Input should be a valid dictionary")
    assert running.metric("degre_refused_requests_total") == before + 4
    status, text = running.call("POST", "/rerank", json.dumps({"requests": [too_large] * 2}).encode())
    assert status == 422  # not one of them is allowed


@pytest.mark.parametrize("value", [{}, {"price": None}])
def test_a_numeric_value_may_be_missing(running, body, value):
    candidates = [{"item_id": 1, "ranking_score": 0.5, **value}, {"item_id": 2, "ranking_score": 1.5}]
    status, answer = running.rerank({**body, "candidates": candidates})
    assert status == 200
    assert len(answer["lists"][0]["item_ids"]) == 2


def test_keys_that_are_no_field_are_ignored_and_counted(running, body, expected):
    parts = ("user", "context", "candidate")
    before = [running.metric(f'degre_unknown_keys_total{{part="{part}"}}') for part in parts]
    wider = {
        **body,
        "user": {**body["user"], "name": {"first": "Ada"}, "age_band": 3},
        "candidates": [{**candidate, "stock": [3, {}]} for candidate in body["candidates"]],
    }
    status, answer = running.rerank(wider)
    after = [running.metric(f'degre_unknown_keys_total{{part="{part}"}}') for part in parts]
    assert status == 200
    assert_list(answer["lists"][0], expected[0])
    assert [now - then for now, then in zip(after, before, strict=True)] == [2, 0, 1]


def test_a_strict_service_refuses_keys_that_are_no_field(shared_registry, tmp_path, body):
    with service_process.service(
        shared_registry.uri, tmp_path, "--runner", "eager", "--strict", "true"
    ) as client:
        service_process.ready(client)
        status, answer = client.rerank({**body, "user": {"colour": "red"}})
        assert client.rerank(body)[0] == 200
        document = json.loads(client.get("/openapi.json")[1])["components"]["schemas"]
    assert status == 422
    assert "request 7, user: unknown keys ['colour']" in answer["detail"]
    assert document["Candidate"]["additionalProperties"] is False


def test_too_many_candidates_in_one_call_are_refused_before_they_are_checked(running):
    many = {"requests": [{"candidates": [{"item_id": one} for one in range(129)]}] * 64}
    status, answer = running.rerank(many)
    assert status == 422
    assert answer["detail"] == "there are 8256 candidates; allowed: 8192 at most in one call"


def test_a_large_body_is_refused_before_it_is_read(running, body):
    client = Client(running.port)
    try:
        status, answer = client.call("POST", "/rerank", b" " * 10_000_000)
    except (BrokenPipeError, ConnectionResetError):
        status, answer = 413, b"allowed: 1000000 bytes"  # it hung up while we were still sending
    assert status == 413
    assert b"allowed: 1000000 bytes" in answer
    assert running.rerank(body)[0] == 200


def test_tells_how_it_is(running, body):
    before = running.metric("degre_rerank_seconds_count")
    running.rerank(body)
    assert running.get("/health/live") == (200, "live")
    assert running.get("/health/ready") == (200, "ready")
    assert running.version() == {
        "service_version": "0.1.0",
        "model_name": "reranker",
        "alias": "champion",
        "model_version": "1",
        "runner": "eager",
        "trouble": None,
    }
    assert running.metric("degre_rerank_seconds_count") == before + 1
    assert running.metric("degre_model_version") == 1
    assert running.metric('degre_model_info{runner="eager",version="1"}') == 1
    assert running.metric("degre_batch_requests_count") > 0
    assert running.metric('degre_answers_total{status="200"}') > 0
    assert running.metric("degre_first_probability_count") > 0


def test_scores_from_elsewhere_show_as_drift(running, body):
    far = {**body, "candidates": [{**one, "ranking_score": 50.0} for one in body["candidates"]]}
    for _ in range(100):
        running.rerank(far)
    assert running.metric('degre_score_drift{field="ranking_score"}') > 0.25


def test_the_document_has_the_fields_of_the_model(running):
    document = json.loads(running.get("/openapi.json")[1])
    candidate = document["components"]["schemas"]["Candidate"]
    assert set(candidate["properties"]) == {"item_id", "genres", "price", "ranking_score"}
    assert set(candidate["required"]) == {"item_id", "ranking_score"}
    assert candidate["additionalProperties"] is True
    assert set(document["paths"]) == {"/rerank", "/health/live", "/health/ready", "/version", "/metrics"}
    assert document["components"]["schemas"]["ManyRequests"]["properties"]["requests"]["maxItems"] == 64


def test_the_page_shows_the_fields_and_loads_nothing(running):
    status, page = running.get("/docs")
    assert status == 200
    assert "ranking_score" in page
    assert "POST /rerank" in page
    assert not re.search(r"https?://|src=|<link|@import", page)
    assert [running.get(path)[0] for path in ("/redoc", "/docs/oauth2-redirect", "/metrics/")] == [404] * 3


def test_the_document_is_openapi(running):
    document = json.loads(running.get("/openapi.json")[1])
    assert yaml.safe_dump(document)


def test_without_a_model_the_incoming_order_is_the_answer(registry, tmp_path, body):
    registry.client.delete_registered_model_alias("reranker", "champion")
    with service_process.service(registry.uri, tmp_path, "--runner", "eager") as client:
        status, answer = client.rerank(body)
        assert client.get("/health/ready")[0] == 503
        assert client.version()["model_version"] is None
    assert status == 200
    assert answer["model_version"] is None
    assert answer["lists"][0] == {
        "request_id": 7,
        "item_ids": [11, 12, 13, 14],
        "candidate_indices": [0, 1, 2, 3],
        "probabilities": [],
        "fallback": "no_model",
        "error": None,
    }


def test_an_answer_too_late_is_the_incoming_order(shared_registry, tmp_path: Path, body):
    options = ("--runner", "eager", "--deadline-ms", "0.01")
    with service_process.service(shared_registry.uri, tmp_path, *options) as client:
        service_process.ready(client)
        status, answer = client.rerank(body)
        assert client.metric('degre_fallbacks_total{reason="deadline"}') == 1
    assert status == 200
    assert answer["model_version"] == "1"
    assert answer["lists"][0]["item_ids"] == [11, 12, 13][:LIST_LENGTH]
    assert answer["lists"][0]["fallback"] == "deadline"


def test_a_token_is_asked_for(shared_registry, tmp_path, body):
    with service_process.service(
        shared_registry.uri, tmp_path, "--runner", "eager", token="open sesame"
    ) as client:
        service_process.ready(client)
        for stranger in (Client(client.port), Client(client.port, "guess"), Client(client.port, "")):
            assert stranger.rerank(body)[0] == 401
            assert stranger.get("/version")[0] == 401
            assert stranger.get("/metrics")[0] == 401
            assert stranger.get("/health/ready")[0] == 200
            assert stranger.get("/openapi.json")[0] == 401
            assert stranger.get("/docs")[0] == 401
        assert client.rerank(body)[0] == 200
        document = json.loads(client.get("/openapi.json")[1])
        assert document["paths"]["/rerank"]["post"]["security"] == [{"token": []}]


def test_a_slow_client_is_not_waited_for(shared_registry, tmp_path, body):
    import socket

    with service_process.service(
        shared_registry.uri, tmp_path, "--runner", "eager", "--body-seconds", "0.3"
    ) as client:
        service_process.ready(client)
        with socket.create_connection(("127.0.0.1", client.port), timeout=10) as slow:
            slow.sendall(b"POST /rerank HTTP/1.1\r\nHost: here\r\nContent-Length: 100\r\n\r\n{")
            assert client.rerank(body)[0] == 200
            answer = b"".join(iter(lambda: slow.recv(4096), b""))  # until the service closes
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"the body was not there after 0.3 seconds" in answer
