"""The web service under load, in a process of its own, with a model of the paper's size.

The clients run in a second process and share the machine with the service. `service` measures the decode of
every runner, a steady load and the most requests a second; `soak` sends 100,000 requests and watches memory;
`switch` moves the champion to another version under that load.
"""

import asyncio
import contextlib
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import mlflow
import numpy as np
import torch

from benchmarks import shapes
from benchmarks.timing import Figure, Figures, alone
from degre_pipeline.locations import sqlite_address
from degre_pipeline.reranker.features import FeatureSpace
from degre_pipeline.reranker.models.model_config import GeneratorConfig
from degre_pipeline.reranker.models.stored_models import store
from degre_pipeline.reranker.schema import Field
from degre_pipeline.serving.model.packaging import log_reranker
from degre_pipeline.serving.model.prepare import prepare
from degre_pipeline.serving.model.request_schema import Request
from degre_pipeline.serving.model.runners import RUNNERS, build_runner
from degre_pipeline.serving.model.served_files import PROGRAM
from degre_pipeline.serving.model.signature import as_record

NAME, CALLS, CONNECTIONS = "reranker", 300, 8
RATES = (300, 400, 500, 600, 700, 800, 1000)
SECONDS, WARM_SECONDS = 15, 3
BUDGET_MS = 15.0
SOAK = 100_000
SWITCH_LOAD_SECONDS = 120
READY_SECONDS = 600


@dataclass(frozen=True)
class Answers:
    """What came back: milliseconds from the moment a request was due, and how many were fallbacks."""

    milliseconds: Sequence[float]
    fallbacks: int
    seconds: float

    def p99(self) -> float:
        """Returns the 99th percentile."""
        return float(np.percentile(self.milliseconds, 99))


def measure(repeats: int) -> Figures:
    """Returns decode by runner, latency at 300 requests a second, and throughput at p99 <= 15 ms."""
    with tempfile.TemporaryDirectory() as folder, registry(Path(folder)) as uri:
        with running(Path(folder), uri) as port:
            steady = [load(port, RATES[0]) for _ in range(repeats)]
            reached = [_highest_rate(port) for _ in range(repeats)]
        decode = {name: _decode_ms(Path(folder), repeats, name) for name in RUNNERS}
    figures = {f"service.decode_{name}_ms": Figure(samples, "ms") for name, samples in decode.items()}
    figures["decode.onnxruntime_ms"] = figures["service.decode_onnxruntime_ms"]
    return figures | {
        "service.p50_at_300_ms": Figure([statistics.median(one.milliseconds) for one in steady], "ms"),
        "service.p99_at_300_ms": Figure([one.p99() for one in steady], "ms"),
        "service.fallbacks_at_300": Figure(
            [one.fallbacks / len(one.milliseconds) for one in steady], "share"
        ),
        "service.rate_within_15_ms": Figure(reached, "requests/s"),
    }


def soak(repeats: int) -> Figures:
    """Returns the growth of memory over 100,000 requests after as many as fill the caches."""
    del repeats
    with tempfile.TemporaryDirectory() as folder, registry(Path(folder)) as uri:
        log = ("--prediction-log", f"{folder}/predictions")
        with running(Path(folder), uri, *log) as port:
            load(port, RATES[0], seconds=30)
            before = metric(port, "process_resident_memory_bytes")
            answers = load(port, RATES[0], seconds=SOAK / RATES[0])
            after = metric(port, "process_resident_memory_bytes")
    mebibyte = 2**20
    return {
        "soak.requests": Figure([len(answers.milliseconds)], "requests"),
        "soak.memory_mib": Figure([before / mebibyte, after / mebibyte], "MiB"),
        "soak.memory_growth": Figure([after / before - 1], "share"),
        "soak.fallbacks": Figure([answers.fallbacks], "requests"),
        "soak.p99_ms": Figure([answers.p99()], "ms"),
    }


def switch(repeats: int) -> Figures:
    """Returns what clients notice of a new champion. An answer that is no 200 ends the measurement."""
    del repeats
    with (
        tempfile.TemporaryDirectory() as folder,
        registry(Path(folder)) as uri,
        running(Path(folder), uri) as port,
        ThreadPoolExecutor(1) as clients,
    ):
        version = _register()
        answers = clients.submit(load, port, RATES[0], SWITCH_LOAD_SECONDS)
        time.sleep(WARM_SECONDS + SECONDS)
        started = time.monotonic()
        mlflow.MlflowClient(uri).set_registered_model_alias(NAME, "champion", version)
        while not (served := _serves(port, version)) and not answers.done():
            time.sleep(0.2)
        took, found = time.monotonic() - started, answers.result()
    if not served:
        raise RuntimeError(f"version {version} did not serve after {took:.0f} s of load")
    return {
        "switch.seconds_to_new_version": Figure([took], "s"),
        "switch.requests": Figure([len(found.milliseconds)], "requests"),
        "switch.fallbacks": Figure([found.fallbacks], "requests"),
        "switch.p99_ms": Figure([found.p99()], "ms"),
    }


def _serves(port: int, version: str) -> bool:
    return any(
        metric(port, f'degre_model_info{{runner="{runner}",version="{version}"}}') for runner in RUNNERS
    )


def load(port: int, rate: float, seconds: float = SECONDS) -> Answers:
    """Sends requests at a steady rate from a process of its own."""
    return alone(send, port, rate, seconds)


def _highest_rate(port: int) -> float:
    """Returns the highest of the rates, tried upwards, that stays within the budget without a fallback."""
    reached = 0.0
    for rate in RATES:
        answers = load(port, rate)
        if answers.p99() > BUDGET_MS or answers.fallbacks:
            break
        reached = len(answers.milliseconds) / answers.seconds
    return reached


def send(port: int, rate: float, seconds: float) -> Answers:
    """Returns the answers to requests that are due at even distances, answered or not."""
    return asyncio.run(_send(port, rate, seconds))


async def _send(port: int, rate: float, seconds: float) -> Answers:
    bodies = [as_http(json.dumps(as_record(request)).encode()) for request in some_requests(64)]
    start = time.perf_counter() + 0.2
    total = int((WARM_SECONDS + seconds) * rate)
    due = iter(range(total))
    found: list[tuple[int, float, bool]] = []

    async def one_connection() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number in due:
            moment = start + number / rate
            await asyncio.sleep(max(moment - time.perf_counter(), 0))
            writer.write(bodies[number % len(bodies)])
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            answer = await reader.readexactly(length)
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(f"{head!r}: {answer!r}; allowed: status 200")
            fell_back = b'"fallback":null' not in answer
            found.append((number, 1000 * (time.perf_counter() - moment), fell_back))
        writer.close()

    await asyncio.gather(*(one_connection() for _ in range(CONNECTIONS)))
    counted = [one for one in found if one[0] >= WARM_SECONDS * rate]
    took = time.perf_counter() - start - WARM_SECONDS
    return Answers([one[1] for one in counted], sum(one[2] for one in counted), took)


def as_http(body: bytes) -> bytes:
    """Returns a call of `/rerank` as it goes over the wire."""
    head = f"POST /rerank HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def some_requests(count: int, candidates: int = shapes.CANDIDATES) -> list[Request]:
    """Returns requests of MovieLens-1M's shape with raw values drawn at random."""
    draw = random.Random(0)
    genres = [f"genre{one}" for one in range(18)]

    def candidate(item_id: int) -> dict[str, object]:
        tags = "|".join(draw.sample(genres, 2))
        score = draw.gauss(0, 1)
        return {"item_id": item_id, "genres": tags, "year": draw.randint(1930, 2000), "ranking_score": score}

    return [
        Request(
            [candidate(item_id) for item_id in draw.sample(range(1, 3700), candidates)],
            {"user_id": draw.randint(1, 6040), "gender": "F", "age": 25, "occupation": draw.randint(0, 20)},
            {"hour": draw.randint(0, 23), "weekday": draw.randint(0, 6)},
            number,
        )
        for number in range(count)
    ]


def _space() -> FeatureSpace:
    """Returns a feature space of the sizes of `shapes.FIELDS`."""
    quantiles = torch.distributions.Normal(0, 1).icdf(torch.linspace(0, 1, 33)[1:-1]).tolist()
    edges = {"year": tuple(range(1931, 1962)), "ranking_score": tuple(quantiles)}
    vocabularies = {
        field.name: tuple(
            f"genre{one}" if field.kind == "tags" else str(one) for one in range(field.indices - 1)
        )
        for field in shapes.FIELDS
        if field.kind != "numeric"
    }
    fields = tuple(
        Field(field.name, field.kind, field.group, size=max(field.columns, 1)) for field in shapes.FIELDS
    )
    return FeatureSpace(fields, vocabularies, edges)


@contextlib.contextmanager
def registry(folder: Path) -> Iterator[str]:
    """A database of MLflow with one version of an untrained generator, the champion."""
    uri = sqlite_address(folder / "mlflow.db")
    mlflow.set_tracking_uri(uri)
    experiment = mlflow.create_experiment("benchmark", (folder / "artifacts").as_uri())
    mlflow.set_experiment(experiment_id=experiment)
    mlflow.MlflowClient(uri).set_registered_model_alias(NAME, "champion", _register())
    yield uri


def _register() -> str:
    """Registers an untrained generator and returns its version."""
    generator, space = shapes.generator(), _space()
    trained = store(generator, space.sizes(), shapes.SLOTS, GeneratorConfig())
    with mlflow.start_run():
        logged = log_reranker(trained, space, some_requests(8), name=NAME, metadata={})
    return str(mlflow.register_model(logged.model_uri, NAME).version)


@contextlib.contextmanager
def running(folder: Path, uri: str, *options: str) -> Iterator[int]:
    """A running service whose fastest runner is there; gives its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    command = [
        *(sys.executable, "-m", "degre_pipeline.serving.web", "--port", str(port), "--tracking-uri", uri),
        *("--model-name", NAME, "--cache-folder", str(folder / "cache"), *options),
    ]
    with (folder / "service.log").open("wb") as log:
        started = subprocess.Popen(
            command,
            stdout=log,
            stderr=log,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            start_new_session=True,
        )
    try:
        _wait_for_the_compiled_library(started, port, folder / "service.log")
        yield port
    finally:
        started.terminate()
        started.wait(30)


def _wait_for_the_compiled_library(started: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end and started.poll() is None:
        with contextlib.suppress(OSError):
            if metric(port, 'degre_model_info{runner="aotinductor",version="1"}'):
                return
        time.sleep(1)
    raise RuntimeError(f"the service ({started.poll()}) has no compiled library: {log.read_text()[-2000:]}")


def metric(port: int, name: str) -> float:
    """Returns a metric of a running service; 0 where it does not appear."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    return next((float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(f"{name} ")), 0.0)


def _decode_ms(folder: Path, repeats: int, name: str) -> list[float]:
    """Returns the median milliseconds of one request in a runner, on one thread, round by round."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    program = next(folder.glob(f"cache/*/{PROGRAM}"))
    prepared = program.parent / f"torch-{torch.__version__}"
    runner_name = next(one for one in RUNNERS if one == name)
    prepare(runner_name, program, prepared, shapes.CANDIDATES)
    runner = build_runner(runner_name, program, prepared, shapes.CANDIDATES)
    one = shapes.made_up_requests(1)
    samples = []
    for _ in range(repeats + 1):
        taken = []
        for _ in range(CALLS):
            started = time.perf_counter()
            runner.decode(one.static, one.candidates, one.mask)
            taken.append(1000 * (time.perf_counter() - started))
        samples.append(statistics.median(taken))
    torch.set_num_threads(threads)
    return samples[1:]
