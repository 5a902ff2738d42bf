"""What comes before a body is limited in size and time, and so are connections, whatever parses it."""

import socket
import time
from collections.abc import Iterator
from http.client import HTTPResponse

import pytest
import service_process
from service_process import Client, ready, wait_until

LIMITS = ("--runner", "eager", "--deadline-ms", "2000", "--max-connections", "8", "--header-seconds", "0.5")


@pytest.fixture(scope="module", params=["httptools", "h11"])
def limited(request, shared_registry, tmp_path_factory) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp(request.param)
    with service_process.service(shared_registry.uri, folder, *LIMITS, "--http", request.param) as client:
        ready(client)
        yield client


def connected(client: Client) -> socket.socket:
    return socket.create_connection(("127.0.0.1", client.port), timeout=10)


def said_until_closed(one: socket.socket) -> bytes:
    try:
        return b"".join(iter(lambda: one.recv(65536), b""))
    except ConnectionResetError:
        return b""


def one_answer(one: socket.socket) -> bytes:
    """Returns the next answer of a connection that stays open, in however many pieces it comes."""
    answer = HTTPResponse(one)
    answer.begin()
    return b"HTTP/1.1 %d " % answer.status + answer.read()


def sent_until_refused(one: socket.socket, begin: bytes, piece: bytes, most: int) -> int:
    """Sends a piece again and again; returns how many bytes were taken before the service hung up."""
    one.sendall(begin)
    for sent in range(0, most, len(piece)):
        try:
            one.sendall(piece)
        except OSError:
            return sent
    return most


@pytest.mark.parametrize(
    ("begin", "piece"),
    [
        (b"GET /version HTTP/1.1\r\nX: ", b"a" * 16_384),  # a header without an end
        (b"GET /version?", b"a" * 16_384),  # a request line without an end
        (b"GET /version HTTP/1.1\r\n", b"X-1: " + b"a" * 1000 + b"\r\n"),  # headers without an end
    ],
)
def test_an_endless_header_is_refused_and_nobody_else_notices(limited, body, begin, piece):
    with connected(limited) as one:
        taken = sent_until_refused(one, begin, piece, 64_000_000)
        assert limited.rerank(body)[0] == 200
    assert taken < 16_000_000  # what lies in the buffers of the system


def test_a_header_that_is_too_large_is_told_so(limited):
    with connected(limited) as one:
        one.sendall(b"GET /version HTTP/1.1\r\nX: " + b"a" * 66_000)
        assert said_until_closed(one).startswith(b"HTTP/1.1 431 ")
    with connected(limited) as one:
        one.sendall(
            b"GET /version HTTP/1.1\r\nHost: here\r\nX: " + b"a" * 60_000 + b"\r\nConnection: close\r\n\r\n"
        )
        assert said_until_closed(one).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("sent", [b"", b"GET /ver", b"GET /version HTTP/1.1\r\nHost: h"])
def test_a_header_that_does_not_come_is_not_waited_for(limited, sent):
    before = limited.metric('degre_refused_connections_total{status="408"}')
    with connected(limited) as one:
        one.sendall(sent)
        assert said_until_closed(one).startswith(b"HTTP/1.1 408 ")
    assert limited.metric('degre_refused_connections_total{status="408"}') == before + 1


def test_a_dripping_header_on_a_kept_connection_is_not_waited_for(limited):
    whole = b"GET /health/live HTTP/1.1\r\nHost: here\r\n\r\n"
    with connected(limited) as one:
        for _ in range(2):
            one.sendall(whole)
            assert one_answer(one) == b"HTTP/1.1 200 live"
        time.sleep(0.7)  # idle between requests is allowed
        one.sendall(whole)
        assert one_answer(one) == b"HTTP/1.1 200 live"
        one.sendall(b"GET /health/live HTTP/1.1\r\nX: ")
        wait_until(lambda: _drips_in_vain(one), 30, "refused")


def _drips_in_vain(one: socket.socket) -> bool:
    """Sends one more byte; returns whether the service has hung up."""
    try:
        one.sendall(b"a")
    except OSError:
        return True
    return False


def test_a_body_may_be_longer_and_slower_than_a_header(limited, body):
    assert limited.call("POST", "/rerank", b" " * 200_000)[0] == 422
    with connected(limited) as one:
        one.sendall(b"POST /rerank HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{")
        time.sleep(0.8)
        one.sendall(b"}")
        assert said_until_closed(one).startswith(b"HTTP/1.1 422 ")


def test_more_connections_than_allowed_are_refused_and_room_is_made_again(limited, body):
    held = [connected(limited) for _ in range(12)]
    answers = [said_until_closed(one) for one in held]  # each is refused, or closed when no header comes
    for one in held:
        one.close()
    assert {answer[:13] for answer in answers} <= {b"HTTP/1.1 503 ", b"HTTP/1.1 408 ", b""}
    assert sum(answer.startswith(b"HTTP/1.1 408 ") for answer in answers) <= 8
    wait_until(lambda: limited.rerank(body)[0] == 200, 10, "room")
    assert limited.metric('degre_refused_connections_total{status="503"}') >= 4


def test_a_client_that_stops_sending_after_its_request_gets_its_answer(limited):
    with connected(limited) as one:
        one.sendall(b"GET /version HTTP/1.1\r\nHost: here\r\n\r\n")
        one.shutdown(socket.SHUT_WR)
        assert said_until_closed(one).startswith(b"HTTP/1.1 200 ")
