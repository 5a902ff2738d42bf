"""A tracking server that sends a byte now and then holds nobody longer than a look-up may take."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator

import pytest
import service_process
from service_process import wait_until
from small_models import NAME

LOOK_SECONDS, DRIP_SECONDS = 2, 0.2


class Drip:
    """Answers look-ups of an alias with version 1, which it cannot hand over.

    While `drips` is set, new connections get a byte at a time.
    """

    def __init__(self) -> None:
        self.drips, self.stopped = threading.Event(), threading.Event()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self.sent = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self.stopped.set()
        self._listening.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                one, _ = self._listening.accept()
                threading.Thread(target=self._answer, args=(one,), daemon=True).start()

    def _answer(self, one: socket.socket) -> None:
        with one, contextlib.suppress(OSError):
            asked = one.recv(65536)
            if self.drips.is_set():
                one.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
                while not self.stopped.wait(DRIP_SECONDS):
                    one.sendall(b" ")
                    self.sent += 1
            found = {"model_version": {"name": NAME, "version": "1", "source": "models:/m-1"}}
            known = b"/registered-models/alias" in asked
            body = json.dumps(found if known else {"error_code": "INTERNAL_ERROR"}).encode()
            status = b"200 OK" if known else b"500 Error"
            head = b"HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
            one.sendall(head % (status, len(body)) + body)


@pytest.fixture
def drip() -> Iterator[Drip]:
    server = Drip()
    yield server
    server.close()


@pytest.mark.slow
def test_a_dripping_server_is_given_up_and_asked_anew(drip, tmp_path):
    options = ("--runner", "eager", "--look-seconds", str(LOOK_SECONDS))
    with service_process.service(drip.address, tmp_path, *options) as client:

        def last_look() -> float:
            return client.metric('degre_last_look_timestamp_seconds{alias="champion"}')

        def trouble() -> str:
            return client.version()["trouble"] or ""

        wait_until(lambda: "version 1 was refused" in trouble(), 60, "a first look-up")
        assert abs(last_look() - time.time()) < 60
        drip.drips.set()
        wait_until(lambda: "no answer after 2 seconds" in trouble(), 60, "given up")
        stood = last_look()
        errors = client.metric("degre_registry_errors_total")
        wait_until(lambda: client.metric("degre_registry_errors_total") > errors, 60, "asked again")
        assert last_look() == stood
        sent = drip.sent

        drip.drips.clear()  # for new connections; those that were given up go on dripping
        wait_until(lambda: last_look() > stood, 60, "a look-up that works")
        wait_until(lambda: "version 1 was refused" in trouble(), 60, "what is wrong now")
        assert drip.sent > sent
