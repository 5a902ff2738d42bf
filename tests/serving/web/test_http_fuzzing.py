"""Whatever bytes come, in whatever pieces and at whatever pace: others are answered, the connection ends."""

import http.client
import json
import socket
import time
from collections.abc import Iterator

import pytest
import service_process
from hypothesis import given, settings
from hypothesis import strategies as st
from service_process import Client, ready
from small_models import REQUESTS

from degre_pipeline.serving.model.signature import as_record

pytestmark = pytest.mark.slow

EXAMPLES = 60
PAUSES = (0.0, 0.0, 0.005, 0.02)
OPTIONS = ("--runner", "eager", "--header-seconds", "0.3", "--body-seconds", "0.3", "--max-connections", "64")
BODY = json.dumps(as_record(REQUESTS[0])).encode()
WORDS = st.binary(max_size=40) | st.sampled_from(
    [
        b"GET",
        b"POST",
        b"/rerank",
        b"/health/live",
        b"HTTP/1.1",
        b"HTTP/1.0",
        b"HTTP/9.9",
        b"\r\n",
        b"\n",
        b"\0",
    ]
)
HEADERS = st.tuples(
    st.sampled_from(
        [b"Host", b"Content-Length", b"Transfer-Encoding", b"Expect", b"Upgrade", b"Connection", b"X"]
    )
    | st.binary(max_size=10),
    st.sampled_from(
        [b"here", b"0", b"-1", b"2", b"99999999999999999999", b"chunked", b"100-continue", b"close"]
    )
    | st.sampled_from([b"websocket", b"h2c", b"Upgrade"])
    | st.binary(max_size=20)
    | st.integers(1, 200_000).map(lambda size: b"a" * size),
)


@st.composite
def messages(draw) -> bytes:
    """Something between a request and noise, perhaps two of them."""
    line = draw(st.sampled_from([b"POST /rerank HTTP/1.1", b"GET /version HTTP/1.1"]) | WORDS)
    headers = [name + b": " + value for name, value in draw(st.lists(HEADERS, max_size=6))]
    if draw(st.booleans()):
        headers.append(b"Content-Length: %d" % len(BODY))
    end = draw(st.sampled_from([b"\r\n\r\n", b"\r\n\r\n", b"\r\n", b""]))
    body = draw(st.sampled_from([BODY, b"", b"5\r\n{}   \r\n0\r\n\r\n"]) | st.binary(max_size=50))
    return b"\r\n".join([line, *headers]) + end + body * draw(st.integers(1, 2))


@pytest.fixture(scope="module", params=["httptools", "h11"])
def fuzzed(request, shared_registry, tmp_path_factory) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp(request.param)
    with service_process.service(shared_registry.uri, folder, *OPTIONS, "--http", request.param) as client:
        ready(client)
        yield client
        assert client.metric('degre_failed_steps_total{thread="decode"}') == 0
        assert "Traceback" not in (folder / "service.log").read_text()


def send(one: socket.socket, message: bytes, pieces: int, pause: float) -> None:
    """Sends a message in pieces, until the service hangs up."""
    size = max(1, len(message) // pieces)
    try:
        for start in range(0, len(message), size):
            one.sendall(message[start : start + size])
            time.sleep(pause)
    except OSError:
        pass


def answered(one: socket.socket) -> bytes:
    """Returns what the service says until it hangs up; raises TimeoutError where it never does."""
    try:
        one.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: one.recv(65536), b""))
    except TimeoutError:
        raise
    except OSError:
        return b""


def test_bytes_of_any_kind_and_pace(fuzzed):
    @given(message=messages(), pieces=st.integers(1, 12), pause=st.sampled_from(PAUSES))
    @settings(max_examples=EXAMPLES)
    def others_are_answered(message, pieces, pause):
        with socket.create_connection(("127.0.0.1", fuzzed.port), timeout=20) as one:
            send(one, message, pieces, pause)
            assert fuzzed.rerank(json.loads(BODY))[0] == 200
            answer = answered(one)
        assert not answer or answer.startswith(b"HTTP/1.1 ")
        assert not answer.startswith(b"HTTP/1.1 5")

    others_are_answered()


def test_many_slow_clients_at_once(fuzzed):
    slow = [socket.create_connection(("127.0.0.1", fuzzed.port), timeout=20) for _ in range(40)]
    for turn in range(20):
        for place, one in enumerate(slow):
            begun = b"POST /rerank HTTP/1.1\r\nHost: h\r\nContent-Length: 900\r\n\r\n"
            message = begun if place % 2 else b"GET /version HTTP/1.1\r\nX: "
            send(one, message if turn == 0 else b" ", 1, 0.0)
        assert fuzzed.rerank(json.loads(BODY))[0] == 200
        time.sleep(0.02)
    statuses = {answered(one)[9:12] for one in slow}
    for one in slow:
        one.close()
    assert statuses <= {b"408", b"400", b""}
    assert fuzzed.get("/health/ready") == (http.client.OK, "ready")
