"""A registry with models, a service in a process of its own, and clients of it."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from small_models import NAME

PROJECT = Path(__file__).resolve().parents[3]


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def wait_until(condition, seconds: float, what: str, pause: float = 0.05) -> Any:
    """Returns the first true value of a condition; asked again after a connection error."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if found := condition():
                return found
        except OSError:
            pass
        time.sleep(pause)
    raise AssertionError(f"not within {seconds} s: {what}")


@contextmanager
def process(*command: str, log: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process with this project on its path, in a group of its own, which is ended with the block."""
    path = os.pathsep.join([str(PROJECT / "src"), *filter(None, sys.path)])
    with log.open("wb") as output:
        started = subprocess.Popen(
            [sys.executable, *command],
            env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", **environment},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield started
    finally:
        end(started)


def end(started: subprocess.Popen[bytes]) -> None:
    """Ends a process and what it has started."""
    if started.poll() is None:
        os.killpg(started.pid, signal.SIGTERM)
        try:
            started.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(started.pid, signal.SIGKILL)
            started.wait()


class Client:
    """Talks to a service, over a connection a call, or over one for all calls inside a `with`."""

    def __init__(self, port: int, token: str | None = None) -> None:
        self.port, self.pid = port, 0
        self._headers = {"Content-Type": "application/json"}
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token}"
        self._kept: http.client.HTTPConnection | None = None

    def __enter__(self) -> "Client":
        self._kept = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        return self

    def __exit__(self, *error: object) -> None:
        self._kept.close()

    def call(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        connection = self._kept or http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, self._headers)
            with connection.getresponse() as answer:
                return answer.status, answer.read()
        finally:
            if self._kept is None:
                connection.close()

    def get(self, path: str) -> tuple[int, str]:
        status, text = self.call("GET", path)
        return status, text.decode()

    def rerank(self, body: Any) -> tuple[int, Any]:
        status, text = self.call("POST", "/rerank", json.dumps(body).encode())
        return status, json.loads(text)

    def version(self) -> Mapping[str, Any]:
        return json.loads(self.get("/version")[1])

    def metric(self, name: str) -> float:
        """Returns a metric's value by its full name, labels included; 0 where it does not appear."""
        lines = self.get("/metrics")[1].splitlines()
        return next((float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(f"{name} ")), 0.0)


SERVICE = ("-m", "degre_pipeline.serving.web")


@contextmanager
def service(
    tracking_uri: str,
    folder: Path,
    *options: str,
    token: str | None = None,
    program: Sequence[str] = SERVICE,
) -> Iterator[Client]:
    """A running service that has answered once; its log is `folder/service.log`."""
    port = free_port()
    command = [
        *(*program, "--port", str(port), "--tracking-uri", tracking_uri),
        *("--model-name", NAME, "--poll-seconds", "0.2", "--cache-folder", str(folder / "cache"), *options),
    ]
    environment = {} if token is None else {"DEGRE_SERVICE_TOKEN": token}
    with process(*command, log=folder / "service.log", **environment) as started:
        try:
            wait_until(
                lambda: started.poll() is not None or Client(port).get("/health/live")[0] == 200, 60, "live"
            )
            assert started.poll() is None
            client = Client(port, token)
            client.pid = started.pid
            yield client
        except BaseException:
            print((folder / "service.log").read_text())
            raise


@contextmanager
def mlflow_server(database: str, artifacts: Path, port: int, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """MLflow's own server, with its UI, on a database; it has answered once."""
    command = ("-m", "mlflow", "server", "--backend-store-uri", database, "--workers", "1")
    place = ("--host", "127.0.0.1", "--port", str(port), "--artifacts-destination", str(artifacts))
    with process(*command, *place, log=log, MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false") as started:
        wait_until(lambda: Client(port).get("/health")[0] == 200, 120, "MLflow's server", pause=0.3)
        yield started


def ready(client: Client, version: str | None = None, seconds: float = 90) -> None:
    """Waits until a model, or a certain version, answers."""
    wait_until(lambda: Client(client.port).get("/health/ready")[0] == 200, seconds, "ready")
    if version is not None:
        wait_until(lambda: client.version()["model_version"] == version, seconds, f"version {version}")


class Clients:
    """Threads that ask a service again and again, as `_ask` says, until the block ends."""

    def __init__(self, clients: int) -> None:
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(clients)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        """Asks until `_stopped` is set."""
        raise NotImplementedError  # each kind of clients asks in its own way


class Load(Clients):
    """Clients that send a request again and again, each when it has its answer or at a steady pace.

    Attributes:
        answers: Status, answer and seconds of every request.
        failures: What went wrong besides.
    """

    def __init__(self, port: int, body: Any, clients: int = 2, pause: float = 0.0) -> None:
        self.answers: list[tuple[int, Any, float]] = []
        self.failures: list[Exception] = []
        self._port, self._body, self._pause = port, body, pause
        super().__init__(clients)

    def _ask(self) -> None:
        with Client(self._port) as client:
            while not self._stopped.wait(self._pause):
                started = time.monotonic()
                try:
                    status, answer = client.rerank(self._body)
                except Exception as error:
                    self.failures.append(error)
                    return
                self.answers.append((status, answer, time.monotonic() - started))
