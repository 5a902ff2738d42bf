"""What callers notice of one that abuses the service, which has its default settings.

A hundred requests a second come from others, alone and beside each abuser in turn, in rounds. Others,
abuser and service share the machine, so one round has processes beside it that only compute: what those
cost is not the service's doing.
"""

import json
import multiprocessing
import socket
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks.service import Answers, as_http, load, metric, registry, running, some_requests
from benchmarks.timing import Figure, Figures, ratios
from degre_pipeline.serving.model.signature import as_record

RATE, SECONDS = 100, 8
ALONE, COMPUTING = "alone", "computing_neighbours"
NEIGHBOURS = 2
"""An abuser and the process that reads its bodies."""
MEBIBYTE = 2**20
HEADER_PIECE, HEADER_PAUSE_SECONDS = b"a" * 65_536, 0.01
REFUSED_REQUESTS = 16_000
VALID_REQUESTS, VALID_CANDIDATES = 64, 128


def measure(repeats: int) -> Figures:
    """Returns the latency of the others, alone and as a ratio beside each abuser, and memory."""
    found: dict[str, list[Answers]] = {name: [] for name in [ALONE, COMPUTING, *ABUSERS]}
    with (
        tempfile.TemporaryDirectory() as folder,
        registry(Path(folder)) as uri,
        running(Path(folder), uri) as port,
    ):
        memory = [_memory_mib(port)]
        for _ in range(repeats):
            for name, answers in found.items():
                with _beside(name, port):
                    answers.append(load(port, RATE, SECONDS))
                memory.append(_memory_mib(port))
    return _figures(found) | {"abuse.memory_mib": Figure(memory, "MiB")}


def _figures(found: Mapping[str, list[Answers]]) -> Figures:
    p50 = {name: [statistics.median(one.milliseconds) for one in answers] for name, answers in found.items()}
    p99 = {name: [one.p99() for one in answers] for name, answers in found.items()}
    figures = {
        "abuse.p50_alone_ms": Figure(p50[ALONE], "ms"),
        "abuse.p99_alone_ms": Figure(p99[ALONE], "ms"),
    }
    for name in [COMPUTING, *ABUSERS]:
        figures[f"abuse.p50_beside_{name}"] = Figure(ratios(p50[name], p50[ALONE]), "times")
        figures[f"abuse.p99_beside_{name}"] = Figure(ratios(p99[name], p99[ALONE]), "times")
    for name, answers in found.items():
        shares = [one.fallbacks / len(one.milliseconds) for one in answers]
        figures[f"abuse.fallbacks_{name}"] = Figure(shares, "share")
    return figures


def _memory_mib(port: int) -> float:
    return metric(port, "process_resident_memory_bytes") / MEBIBYTE


@contextmanager
def _beside(name: str, port: int) -> Iterator[None]:
    """Runs an abuser, or neighbours that compute, in processes of their own as long as the block."""
    spawn = multiprocessing.get_context("spawn").Process
    processes = []
    if name == COMPUTING:
        processes = [spawn(target=_compute, daemon=True) for _ in range(NEIGHBOURS)]
    elif name in ABUSERS:
        processes = [spawn(target=_abuse, args=(name, port), daemon=True)]
    for process in processes:
        process.start()
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.join()


def _compute() -> None:
    while True:
        sum(range(1_000_000))


def _abuse(name: str, port: int) -> None:
    """Abuses without an end; a connection that the service has closed is opened anew."""
    while True:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)) as one:
            ABUSERS[name](one)


def _endless_header(one: socket.socket) -> None:
    one.sendall(b"GET / HTTP/1.1\r\nX: ")
    while True:
        one.sendall(HEADER_PIECE)
        time.sleep(HEADER_PAUSE_SECONDS)


def _refused_bodies(one: socket.socket) -> None:
    candidates = [{"item_id": 1, "ranking_score": 0.5}]
    _send_again(one, {"requests": [{"candidates": candidates}] * REFUSED_REQUESTS})


def _large_valid_bodies(one: socket.socket) -> None:
    requests = some_requests(VALID_REQUESTS, VALID_CANDIDATES)
    _send_again(one, {"requests": [as_record(request) for request in requests]})


def _send_again(one: socket.socket, content: Mapping[str, object]) -> None:
    """Sends a body again and again, each time when it has been answered."""
    message = as_http(json.dumps(content, separators=(",", ":")).encode())
    while True:
        one.sendall(message)
        head = b""
        while b"\r\n\r\n" not in head:
            head += one.recv(65_536)
        header, _, answer = head.partition(b"\r\n\r\n")
        left = int(header.lower().split(b"content-length: ")[1].split(b"\r\n")[0]) - len(answer)
        while left > 0:
            left -= len(one.recv(min(left, 65_536)))


ABUSERS: Mapping[str, Callable[[socket.socket], None]] = {
    "endless_header": _endless_header,
    "refused_bodies": _refused_bodies,
    "large_valid_bodies": _large_valid_bodies,
}
