"""A command whose scheduler's worker is killed ends with it, and does not meet its own second try."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

CHILD = """
import os, time
from degre_pipeline.cli import end_with_parent
end_with_parent()
print(os.getpid(), flush=True)
time.sleep(60)
"""
PARENT = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {CHILD!r}])"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of its parent's end")
@pytest.mark.parametrize(("workflow", "ends"), [("daily 2026-02-01", True), ("", False)])
def test_a_scheduled_command_ends_with_the_worker_that_started_it(workflow: str, ends: bool) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT],
        stdout=subprocess.PIPE,
        env={**os.environ, "DEGRE_WORKFLOW_RUN": workflow},
    ) as worker:
        assert worker.stdout is not None
        command = next(int(line) for line in worker.stdout if line.strip().isdigit())  # Kedro logs first
        worker.send_signal(signal.SIGKILL)

    try:
        assert ended_within(command, seconds=10 if ends else 1) == ends
    finally:
        if running(command):
            os.kill(command, signal.SIGKILL)


def ended_within(process: int, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if not running(process):
            return True
        time.sleep(0.05)
    return False


def running(process: int) -> bool:
    """Returns whether a process is alive: there, and no zombie that nobody waits for."""
    try:
        state = Path(f"/proc/{process}/stat").read_text("utf-8").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"
