"""The service as a process of its own, for as long as a block of code needs it, and a client of it."""

import http.client
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from degre_pipeline.reranker.checked_settings import check_types, require

NEEDED = ("fastapi", "uvicorn", "pydantic_settings", "orjson", "prometheus_client")
"""What of the extra `serving` the service cannot start without."""
HOST = "127.0.0.1"
PREFIX = "DEGRE_SERVICE_"
"""Beginning of the names of environment variables that are settings of the service."""
_PAUSE_SECONDS = 0.2
_CALL_SECONDS = 30.0
_STOP_SECONDS = 20.0
_TOLD_LINES = 15


@dataclass(frozen=True)
class ProcessConfig:
    """How the service is started.

    Attributes:
        alias: Of the registered version that answers; `challenger` tries the newest.
        runner: What runs the model; see `degre_pipeline.serving.web`.
        deadline_ms: After this time the incoming order is the answer.
        ready_seconds: How long loading may take.
    """

    alias: str
    runner: str
    deadline_ms: float
    ready_seconds: float

    def __post_init__(self) -> None:
        check_types(self)
        for name in ("deadline_ms", "ready_seconds"):
            require(getattr(self, name) > 0, name, getattr(self, name), "above 0")


def require_serving() -> None:
    """Raises ModuleNotFoundError, which says what to install, unless the service can be started here."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise ModuleNotFoundError(
            f"the service needs {', '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not "
            "installed; allowed: an environment with the extra 'serving': pip install -e '.[serving]'"
        )


class Client:
    """Asks a running service over one connection.

    Args:
        port: Where the service listens.
        token: That it asks for.
    """

    def __init__(self, port: int, token: str) -> None:
        self.port = port
        self._connection = http.client.HTTPConnection(HOST, port, timeout=_CALL_SECONDS)
        self._headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}

    def call(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        """Returns status and body of an answer. Raises: OSError, HTTPException: If there is none."""
        try:
            self._connection.request(method, path, body, self._headers)
            with self._connection.getresponse() as answer:
                return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            self.close()
            raise

    def rerank(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the service's answer to one request.

        Raises: RuntimeError: If it refuses the request, with its words.
        """
        status, answer = self.call("POST", "/rerank", json.dumps(body).encode())
        if status != http.client.OK:
            raise RuntimeError(
                f"the service refused request {body.get('request_id')!r} with status {status}: "
                f"{answer.decode(errors='replace')}"
            )
        answered: dict[str, Any] = json.loads(answer)
        return answered

    def version(self) -> dict[str, Any]:
        """Returns which version answers."""
        status, answer = self.call("GET", "/version")
        if status != http.client.OK:
            raise RuntimeError(f"the service answers /version with status {status}: {answer.decode()}")
        answered: dict[str, Any] = json.loads(answer)
        return answered

    def close(self) -> None:
        """Closes the connection; the next call opens another."""
        self._connection.close()


@contextmanager
def running_service(tracking_uri: str, model_name: str, config: ProcessConfig) -> Iterator[Client]:
    """Starts the service on a free port of this machine, and ends it with the block.

    Args:
        tracking_uri: Of MLflow.
        model_name: The registered model.
        config: How it is started.
    Yields: A client, once a version has been loaded.
    Raises: ModuleNotFoundError: If the extra `serving` is not installed. RuntimeError: If the service ends or
        no version is ready in time, with its last words.
    """
    require_serving()
    with TemporaryDirectory(prefix="degre-service-") as folder:
        port, token, log = _free_port(), secrets.token_hex(16), Path(folder, "service.log")
        options = {
            "tracking-uri": tracking_uri,
            "model-name": model_name,
            "alias": config.alias,
            "runner": config.runner,
            "deadline-ms": config.deadline_ms,
            "host": HOST,
            "port": port,
            "cache-folder": Path(folder, "cache"),
        }
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "degre_pipeline.serving.web", *words],
                env=_environment(token),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        client = Client(port, token)
        try:
            _wait_until_ready(process, client, config, log)
            yield client
        finally:
            client.close()
            _end(process)


def _environment(token: str) -> dict[str, str]:
    """Returns this process' environment, in which no setting of another service decides."""
    # Imported here because torch is slow to import, and every `kedro` command imports the pipelines.
    from degre_pipeline.serving.model.prepare import child_environment

    inherited = child_environment().items()
    kept = {name: value for name, value in inherited if not name.upper().startswith(PREFIX)}
    return kept | {f"{PREFIX}TOKEN": token}


def _free_port() -> int:
    with socket.socket() as one:
        one.bind((HOST, 0))
        return int(one.getsockname()[1])


def _wait_until_ready(
    process: subprocess.Popen[bytes], client: Client, config: ProcessConfig, log: Path
) -> None:
    end, state = time.monotonic() + config.ready_seconds, "nothing yet"
    while time.monotonic() < end:
        if process.poll() is not None:
            last_words = "\n".join(log.read_text("utf-8", errors="replace").splitlines()[-_TOLD_LINES:])
            raise RuntimeError(f"the service ended with status {process.returncode}: {last_words}")
        try:
            status, answer = client.call("GET", "/health/ready")
        except (OSError, http.client.HTTPException):
            time.sleep(_PAUSE_SECONDS)
            continue
        if status == http.client.OK:
            return
        state = client.version()["trouble"] or answer.decode(errors="replace")
        if _is_final(state):
            break
        time.sleep(_PAUSE_SECONDS)
    raise RuntimeError(
        f"no version with alias {config.alias!r} is ready after {config.ready_seconds:g} s at most; "
        f"the service says: {state}"
    )


def _is_final(state: str) -> bool:
    """Returns whether waiting longer is of no use: there is no such version, or it was refused."""
    return "not found" in state or "was refused" in state


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends the process and its children."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
