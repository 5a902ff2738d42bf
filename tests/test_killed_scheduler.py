"""A command whose scheduler's worker is killed ends with it, and does not meet its own second try."""

import os
import signal
import subprocess
import sys

import pytest

from processes import ended_within, is_running

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
        if is_running(command):
            os.kill(command, signal.SIGKILL)
