"""Runs that stay open because their process was killed."""

import os
import socket
import subprocess
import sys

import mlflow

from degre_pipeline.hooks.killed_runs import close_killed_runs, described, writer_tags


def ended_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def open_run(client: mlflow.MlflowClient, experiment: str, **tags: str) -> str:
    return str(client.create_run(experiment, tags=tags).info.run_id)


def test_runs_of_ended_processes_are_closed_and_no_others(registry: mlflow.MlflowClient) -> None:
    experiment = registry.create_experiment("runs")
    host, living = socket.gethostname(), writer_tags()
    killed = open_run(registry, experiment, host=host, process=f"{ended_process()} 1")
    reused = open_run(registry, experiment, host=host, process=f"{os.getpid()} 1")
    others = [
        open_run(registry, experiment, **living),
        open_run(registry, experiment, host=f"not {host}", process=f"{ended_process()} 1"),
        open_run(registry, experiment),
    ]
    assert set(close_killed_runs(experiment)) == {killed, reused}
    assert {registry.get_run(run).info.status for run in (killed, reused)} == {"KILLED"}
    assert {registry.get_run(run).info.status for run in others} == {"RUNNING"}
    assert close_killed_runs(experiment) == []


def test_a_process_is_known_by_more_than_its_number() -> None:
    own = described(os.getpid())
    assert own == described(os.getpid()) != str(os.getpid())
    assert described(ended_process()) == ""
