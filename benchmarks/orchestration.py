"""What Airflow adds to a day: the DAG's run beside the same pipelines by hand, in a new project each."""

import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from benchmarks.timing import Figure, Figures, ratios

PROJECT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
PIPELINES = (
    "ingestion",
    "list_building",
    "evaluator_training",
    "mining",
    "generator_distillation",
    "evaluation",
    "registration",
    "gate",
)
SHORT_REPORT = "evaluation.settings.exact_requests=4"  # as `make run` and `make airflow` say
LONGEST_SECONDS = 3600
Result = TypeVar("Result")


@dataclass(frozen=True)
class DagRun:
    """Seconds from the first task's beginning to the last one's end, and those that were a task's."""

    whole: float
    tasks: float


def measure(repeats: int) -> Figures:
    """Returns how many times as long a day of the embedded default takes by Airflow as by hand."""
    one, eight, dag = [], [], []
    for _ in range(repeats):
        one.append(_in_new_project(_kedro_run))
        eight.append(_in_new_project(_eight_commands))
        dag.append(_in_new_project(_dag_run))
    whole = [run.whole for run in dag]
    return {
        "day.one_command_seconds": Figure(one, "s"),
        "day.eight_commands_seconds": Figure(eight, "s"),
        "day.dag_seconds": Figure(whole, "s"),
        "day.between_tasks_seconds": Figure([run.whole - run.tasks for run in dag], "s"),
        "day.dag_over_eight_commands": Figure(ratios(whole, eight), "times"),
        "day.dag_over_one_command": Figure(ratios(whole, one), "times"),
    }


def _in_new_project(work: Callable[[Path], Result]) -> Result:
    with TemporaryDirectory(prefix="degre_day_") as folder:
        for name in ("conf", "src"):
            shutil.copytree(PROJECT / name, Path(folder, name), ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(PROJECT / "pyproject.toml", folder)
        return work(Path(folder))


def _kedro_run(project: Path, *words: str) -> float:
    started = time.perf_counter()
    day = f"--params=run_date={datetime.now(UTC).date() - timedelta(days=1)},{SHORT_REPORT}"
    subprocess.run([BIN / "kedro", "run", *words, day], cwd=project, check=True, capture_output=True)
    return time.perf_counter() - started


def _eight_commands(project: Path) -> float:
    return sum(_kedro_run(project, f"--pipeline={name}") for name in PIPELINES)


def _dag_run(project: Path) -> DagRun:
    """Returns the day that a new Airflow begins with by itself: yesterday."""
    database = project / "airflow/airflow.db"
    with _airflow(project):
        ended = time.monotonic() + LONGEST_SECONDS
        while time.monotonic() < ended:
            time.sleep(2)
            found = _query(database, "select state from dag_run order by start_date limit 1")
            if found and found[0][0] in ("success", "failed"):
                break
        tasks = _query(
            database,
            "select task_id, start_date, end_date from task_instance where start_date is not null",
        )
    if not found or found[0][0] != "success":
        said = (project / "airflow.log").read_text("utf-8")[-2000:]
        raise RuntimeError(f"the DAG's run is {found}; its tasks {tasks}; Airflow said at last:\n{said}")
    times = [(datetime.fromisoformat(start), datetime.fromisoformat(end)) for _, start, end in tasks]
    whole = max(end for _, end in times) - min(start for start, _ in times)
    return DagRun(whole.total_seconds(), sum((end - start).total_seconds() for start, end in times))


@contextmanager
def _airflow(project: Path) -> Iterator[None]:
    """Runs `make airflow` on a project."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = ["make", "airflow", f"AIRFLOW_HOME={project / 'airflow'}", f"AIRFLOW_PORT={port}"]
    with (project / "airflow.log").open("w") as log:
        process = subprocess.Popen(
            command,
            cwd=PROJECT,
            env={
                **os.environ,
                "DEGRE_PROJECT": str(project),
                "DEGRE_BIN": str(BIN),
                "DEGRE_PARAMS": SHORT_REPORT,
            },
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                process.wait(20)


def _query(database: Path, query: str) -> list[tuple[str, ...]]:
    if not database.exists():
        return []
    try:
        with sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=60) as connection:
            return connection.execute(query).fetchall()
    except sqlite3.OperationalError:  # its tables are not there yet
        return []
