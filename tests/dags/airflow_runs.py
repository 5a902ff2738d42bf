"""A real Airflow for tests: its own database and processes, with the DAG on a throw-away project."""

import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import project_runs

BIN = project_runs.SOURCE / ".venv-airflow" / "bin"
DAG = "daily_retraining"
PATIENCE_SECONDS = 1200
OPEN_GATE = """
gate:
  settings:
    non_inferiority_margin: 1.0
    guardrail_margin: 1.0
    size_ratio: 1000.0
"""
"""Beside the test overlay's floors: without it, chance decides whether tiny models pass."""
HOLDING_GATE = "\ngate:\n  settings:\n    least_requests: 1000000\n"
"""Too few requests to decide on, so that a person has to."""


@dataclass(frozen=True)
class Airflow:
    """An Airflow home with a migrated database, and the throw-away project that its DAG runs."""

    home: Path
    project: Path
    port: int
    variables: dict[str, str]

    def __call__(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Runs the command `airflow …`, again where SQLite was busy with a running Airflow."""
        while True:
            done = subprocess.run(
                [BIN / "airflow", *words],
                env=self.variables | more,
                cwd=self.home,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode == 0 or "database is locked" not in done.stderr:
                return done

    def run_day(self, moment: str) -> subprocess.CompletedProcess[str]:
        """Runs `airflow dags test` for the last day that is complete at a moment."""
        return self("dags", "test", DAG, moment, DEGRE_DEADLINE_MINUTES="0")

    def rows(self, query: str, *values: str) -> list[tuple[Any, ...]]:
        """Returns what Airflow's database says."""
        with sqlite3.connect(f"file:{self.home / 'airflow.db'}?mode=ro", uri=True, timeout=60) as database:
            return database.execute(query, values).fetchall()

    def runs(self) -> dict[str, str]:
        """Returns the state of every DAG run by its id, in the order of their beginning."""
        return dict(self.rows("select run_id, state from dag_run order by start_date"))

    def tasks(self, run_id: str) -> dict[str, tuple[str, int]]:
        """Returns the state and the number of tries of every task of a run."""
        found = self.rows("select task_id, state, try_number from task_instance where run_id = ?", run_id)
        return {task.rpartition(".")[2]: (state, tries) for task, state, tries in found}

    def wait_for_run(self, run_id: str) -> str:
        """Returns the state in which a run ends."""
        wait_until(
            lambda: self.runs().get(run_id) in ("success", "failed"),
            lambda: f"run {run_id}: {self.tasks(run_id)}",
        )
        return self.runs()[run_id]

    def wait_for_task(self, run_id: str, task: str, *states: str) -> None:
        """Waits for a task to come into one of the states."""
        wait_until(
            lambda: self.tasks(run_id).get(task, ("", 0))[0] in states,
            lambda: f"task {task}: {self.tasks(run_id)}",
        )

    def first_run(self) -> str:
        """Waits for the run that the scheduler makes by itself, and returns its id."""
        wait_until(lambda: bool(self.runs()), lambda: f"the scheduler made no run; {log_tail(self.home)}")
        return next(iter(self.runs()))

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Calls the web API, as a person's browser does."""
        headers = {"Content-Type": "application/json"}
        base = f"http://127.0.0.1:{self.port}"
        with urllib.request.urlopen(f"{base}/auth/token", timeout=60) as answer:
            headers["Authorization"] = f"Bearer {json.load(answer)['access_token']}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{base}/api/v2/{path}", data, headers, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Runs `airflow standalone`: scheduler, DAG processor, triggerer and web server."""
        with (self.home / "standalone.log").open("w") as log:
            process = subprocess.Popen(
                [BIN / "airflow", "standalone"],
                env=self.variables | {"PATH": f"{BIN}:{self.variables['PATH']}"},  # it starts others by name
                cwd=self.home,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            wait_until(self._is_healthy, lambda: log_tail(self.home))
            yield
        finally:
            stop(process)

    def _is_healthy(self) -> bool:
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self.port}/api/v2/monitor/health", timeout=10
            ) as answer:
                health = json.load(answer)
        except OSError:
            return False
        return all(health[part]["status"] == "healthy" for part in ("scheduler", "dag_processor"))


def lay_out(folder: Path, airflow_database: Path, mlflow_database: Path, gate: str = OPEN_GATE) -> Airflow:
    """Returns an Airflow and a new project, both without a run."""
    project = project_runs.lay_out(folder / "project", mlflow_database)
    project_runs.commit(project)
    merge_gate(project, gate)
    home = folder / "airflow"
    home.mkdir()
    shutil.copy(airflow_database, home / "airflow.db")
    port = free_port()
    return Airflow(home.resolve(), project, port, settings(home.resolve(), project, port))


def settings(home: Path, project: Path | None = None, port: int = 8080) -> dict[str, str]:
    """Returns the environment variables of every Airflow process, and of the tasks that it starts."""
    base = f"http://127.0.0.1:{port}"
    variables = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}?timeout=120",
        "AIRFLOW__CORE__DAGS_FOLDER": str(project_runs.SOURCE / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__PARALLELISM": "2",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{base}/execution/",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": base,
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__WORKERS__EXECUTION_API_RETRIES": "12",  # a first task may come before the web server
        "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
        "DEGRE_PROJECT": str(project or project_runs.SOURCE),
        "DEGRE_ENV": "test",
        "DEGRE_BIN": str(Path(sys.executable).parent),
        "DEGRE_RETRY_SECONDS": "5",
        "PYTHONPATH": str(project_runs.SOURCE / "src"),
        "OMP_NUM_THREADS": "1",
    }
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AIRFLOW", "DEGRE_", "MLFLOW_", "KEDRO_"))
    }
    return kept | variables


def described(script: str, python: Path, home: Path, *arguments: object, **variables: str) -> dict[str, Any]:
    """Returns what a script beside this file, run by Airflow's Python on the DAG folder, prints as JSON."""
    done = subprocess.run(
        [python, Path(__file__).with_name(script), project_runs.SOURCE / "dags", *map(json.dumps, arguments)],
        env=settings(home) | variables,
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def make_database(home: Path) -> Path:
    """Returns a migrated Airflow database with the pool of the training tasks; making one takes seconds."""
    home.mkdir(parents=True)
    variables = settings(home)
    for words in (("db", "migrate"), ("pools", "set", "gpu", "1", "one training at a time")):
        subprocess.run([BIN / "airflow", *words], env=variables, cwd=home, capture_output=True, check=True)
    return home / "airflow.db"


def merge_gate(project: Path, overlay: str) -> None:
    """Lays settings of the gate over those of the test overlay."""
    import yaml

    path = project / "conf" / "test" / "parameters_gate.yml"
    content = yaml.safe_load(path.read_text("utf-8"))
    content["gate"]["settings"] |= yaml.safe_load(overlay)["gate"]["settings"]
    path.write_text(yaml.safe_dump(content), "utf-8")


def process_of(project: Path, pipeline: str) -> int | None:
    """Returns the id of the process that runs a pipeline of a project."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().decode().split("\0")
            if f"--pipeline={pipeline}" in words and (folder / "cwd").resolve() == project:
                return int(folder.name)
        except (OSError, UnicodeDecodeError):  # it has ended meanwhile
            continue
    return None


def wait_until(
    holds: Callable[[], bool],
    otherwise: Callable[[], str],
    seconds: float = PATIENCE_SECONDS,
    step: float = 0.5,
) -> None:
    """Waits until something holds. Raises: TimeoutError saying what was there instead."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError(otherwise())
        time.sleep(step)


def stop(process: subprocess.Popen[Any]) -> None:
    """Ends a process and those that it started: politely, then not."""
    for number, seconds in ((signal.SIGINT, 30), (signal.SIGTERM, 10), (signal.SIGKILL, 10)):
        try:
            os.killpg(process.pid, number)
            process.wait(seconds)
        except ProcessLookupError:
            break
        except subprocess.TimeoutExpired:
            continue
        if number == signal.SIGINT:
            continue  # the children of a standalone that went first
    process.wait(10)


def free_port() -> int:
    """Returns a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def log_tail(home: Path) -> str:
    """Returns the end of what the standalone said."""
    return (home / "standalone.log").read_text("utf-8")[-3000:]
