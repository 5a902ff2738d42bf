"""Large bodies are read by a process beside the service, as small ones are by the service itself."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
import service_process
from service_process import ready, wait_until
from small_models import REQUESTS, SPACE

from degre_pipeline.serving.model.request_schema import Request, RequestSchema
from degre_pipeline.serving.model.signature import as_record
from degre_pipeline.serving.web import reading, reading_process
from degre_pipeline.serving.web.body_rules import Rules, pieces
from degre_pipeline.serving.web.fair_queue import FaultyThreadError
from degre_pipeline.serving.web.measures import Measures
from degre_pipeline.serving.web.messages import as_plain, of_plain, receive, send
from degre_pipeline.serving.web.reading import Piece, Reader
from degre_pipeline.serving.web.reading_process import answers
from degre_pipeline.serving.web.wire_schema import BadBodyError, Refused
from processes import children, ended_within

RULES = Rules(RequestSchema.of(SPACE), 64, 8192, 128, strict=False)
GOOD = [as_record(request) for request in REQUESTS]


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    reader = Reader(Measures())
    reader.start()
    yield reader
    reader.stop()


def read(reader: Reader, body: bytes, rules: Rules = RULES, seconds: float = 60.0) -> list[Piece]:
    async def all_pieces() -> list[Piece]:
        arrived: asyncio.Queue[Piece | None] = asyncio.Queue()
        await reader.read(object(), body, rules, time.monotonic() + seconds, arrived)
        return [arrived.get_nowait() for _ in range(arrived.qsize() - 1)]

    return asyncio.run(all_pieces())


def as_body(*records: object) -> bytes:
    return json.dumps({"requests": records}).encode()


def test_a_body_is_cut_into_pieces_of_about_equal_work():
    requests = [Request([{}] * 100, {}, {})] * 5 + [Refused(1, "no")] * 60
    assert [(places.start, places.stop) for places in pieces(requests)] == [(0, 2), (2, 4), (4, 65)]
    assert pieces([Request([{}] * 1000, {}, {})]) == [range(1)]


def test_the_process_starts_without_torch_mlflow_and_pandas() -> None:
    heavy = ("torch", "mlflow", "pandas")
    code = f"import sys, {reading_process.__name__}; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_rules_and_requests_come_over_whole():
    assert Rules.of_plain(RULES.as_plain()) == RULES
    assert Rules.of_plain(Rules(None, 1, 2, 3, strict=True).as_plain()).schema is None
    odd = Request(
        [{"item_id": 2**63 - 1, "ranking_score": float("inf"), "x": [2**90, None, "\ud800"]}], {}, {}, "a"
    )
    for one in (*REQUESTS, odd, Refused(None, "why")):
        assert of_plain(as_plain(one)) == one


def test_the_process_reads_as_the_service_does(reader):
    bad = {"request_id": 5, "candidates": [{"item_id": 1}]}
    twice = {"candidates": [{"item_id": 1, "ranking_score": 1}] * 2}
    many = {"candidates": [{"item_id": item, "ranking_score": 1.5} for item in range(129)]}
    body = as_body(*GOOD, bad, "seven", twice, many, *GOOD * 25)
    found = [request for piece in read(reader, body) for request in piece.requests]
    assert len(read(reader, body)) > 1
    assert found == [RULES.check(request, place) for place, request in enumerate(RULES.parse(body))]
    assert [type(one) for one in found[:6]] == [Request, Request, Refused, Refused, Refused, Refused]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b" " * 100_000, "body: EOF"),
        (b"[" * 100_000, "body: recursion limit"),
        (as_body(*[GOOD[0]] * 65), "there are 65 requests; allowed: 64 at most in one call"),
        (as_body(*[{"candidates": [{}] * 200}] * 50), "there are 10000 candidates; allowed: 8192"),
        (json.dumps({**GOOD[0], "colour": "red"}).encode(), "colour: Extra inputs are not permitted"),
    ],
)
def test_what_has_not_the_form_is_refused_in_the_same_words(reader, body, message):
    with pytest.raises(BadBodyError, match=message) as own:
        RULES.parse(body)
    with pytest.raises(BadBodyError) as found:
        read(reader, body)
    assert str(found.value) == str(own.value)


def test_what_is_late_is_handed_on_unchecked(reader):
    assert [piece.is_checked for piece in read(reader, as_body(*GOOD))] == [True]
    (late,) = read(reader, as_body(*GOOD, {"candidates": [{"item_id": 1}]}), seconds=-1.0)
    assert not late.is_checked
    assert isinstance(late.requests[2], Request)
    assert [kind for kind, *_ in answers(as_body(*GOOD), time.monotonic() - 1, RULES)] == ["piece", "end"]


def test_a_process_that_has_ended_is_started_anew(reader):
    reader._process.kill()
    reader._process.wait()
    assert len(read(reader, as_body(*GOOD))[0].requests) == 2


def test_a_process_that_hangs_is_ended_and_costs_one_call(reader, monkeypatch):
    monkeypatch.setattr(reading, "LONGEST_SECONDS", 0.3)
    os.kill(reader._process.pid, signal.SIGSTOP)
    with pytest.raises(FaultyThreadError, match="the process that reads large bodies has ended"):
        read(reader, as_body(*GOOD))
    monkeypatch.undo()
    assert len(read(reader, as_body(*GOOD))[0].requests) == 2
    assert b'degre_failed_steps_total{thread="reading-process"} 1.0' in reader._measures.text()


def test_half_a_message_is_none(tmp_path):
    file = tmp_path / "message"
    with file.open("wb") as written:
        send(written, ("end",))
    with file.open("rb") as stream:
        assert receive(stream) == ("end",)
    file.write_bytes(file.read_bytes()[:-1])
    with file.open("rb") as stream, pytest.raises(EOFError, match="has ended"):
        receive(stream)


def test_a_service_answers_large_bodies_and_takes_its_process_with_it(shared_registry, tmp_path):
    body = {"requests": [*GOOD * 30, {"candidates": []}]}
    options = ("--runner", "eager", "--deadline-ms", "20000")
    with service_process.service(shared_registry.uri, tmp_path, *options) as client:
        ready(client)

        def lists() -> list[dict]:
            status, answer = client.rerank(body)
            return answer["lists"] if status == 200 else []

        whole = lists()
        assert [one["request_id"] for one in whole[:4]] == [7, "eight", 7, "eight"]
        assert {one["fallback"] for one in whole} == {None}
        assert whole[0]["candidate_indices"] == whole[2]["candidate_indices"]
        assert "at least 1 item" in whole[60]["error"]
        (child,) = children(client.pid, "reading_process")
        os.kill(child, signal.SIGKILL)
        wait_until(lambda: lists() == whole, 30, "a new process")
        (child,) = children(client.pid, "reading_process")
        os.kill(client.pid, signal.SIGKILL)  # nothing in the service can end it any more
        assert ended_within(child, 30)
