"""A new project's MLflow database, made by several processes at once and by one that is killed."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import mlflow

import project_runs
from degre_pipeline.locations import sqlite_address

SETS_UP = """
import sys
from pathlib import Path
import mlflow
from degre_pipeline.hooks.mlflow_database import database_at_hand
from degre_pipeline.locations import sqlite_address
file = Path(sys.argv[1])
print("ready", flush=True)
with database_at_hand(file):
    client = mlflow.MlflowClient(sqlite_address(file))
    if client.get_experiment_by_name("runs") is None:
        client.create_experiment("runs")
"""


def set_up(file: Path) -> subprocess.Popen[str]:
    """Starts a process that sets MLflow up, and returns when it has loaded what it needs."""
    process = subprocess.Popen(
        [sys.executable, "-c", SETS_UP, str(file)],
        env={**os.environ, "PYTHONPATH": str(project_runs.SOURCE / "src")},
        cwd=file.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert "ready\n" in iter(process.stdout.readline, ""), "it ended before it was ready"
    return process


def test_processes_that_begin_together_share_one_database(tmp_path: Path) -> None:
    file = tmp_path / "mlflow.db"
    processes = [set_up(file) for _ in range(2)]
    for process in processes:
        _, trouble = process.communicate(timeout=120)
        assert process.returncode == 0, trouble
    assert mlflow.MlflowClient(sqlite_address(file)).get_experiment_by_name("runs") is not None
    assert [path.name for path in tmp_path.iterdir()] == ["mlflow.db"]


def test_a_process_that_is_killed_meanwhile_leaves_nothing_that_hurts(tmp_path: Path) -> None:
    file = tmp_path / "mlflow.db"
    process = set_up(file)
    end = time.monotonic() + 60
    while not (unfinished := [path for path in tmp_path.rglob("mlflow.db") if path.stat().st_size]):
        assert time.monotonic() < end, "the database was not begun"
        time.sleep(0.01)
    assert unfinished[0].parent != tmp_path, "it is made in its place"
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert not file.exists()
    again = set_up(file)
    _, trouble = again.communicate(timeout=120)
    assert again.returncode == 0, trouble
    assert sqlite3.connect(file).execute(
        "select count(*) from experiments where name = 'runs'"
    ).fetchone() == (1,)
    assert [path.name for path in tmp_path.iterdir()] == ["mlflow.db"]
