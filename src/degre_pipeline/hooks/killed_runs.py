"""Runs whose process was killed stay open in MLflow; the next run on the same machine closes them."""

import os
import socket
from pathlib import Path

from mlflow import MlflowClient

from degre_pipeline.release.filters import quoted

HOST, PROCESS = "host", "process"
"""Tags of a run: the machine and the process that write to it."""


def writer_tags() -> dict[str, str]:
    """Return the tags that say which process writes to a run."""
    return {HOST: socket.gethostname(), PROCESS: described(os.getpid())}


def close_killed_runs(experiment_id: str) -> list[str]:
    """Close the runs whose process is no more, as killed, and return their ids.

    Runs of other machines stay as they are: nobody here knows about their processes.
    """
    client, host = MlflowClient(), socket.gethostname()
    running = client.search_runs(
        [experiment_id], f"attributes.status = 'RUNNING' and tags.{HOST} = {quoted(host)}"
    )
    killed = [run.info.run_id for run in running if not _lives(run.data.tags.get(PROCESS, ""))]
    for run_id in killed:
        client.set_terminated(run_id, "KILLED")
    return killed


def described(process_id: int) -> str:
    """Return a process's number and, where the system tells it, when it began: numbers are used again.

    Returns: An empty text for a process that does not exist.
    """
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass  # a living process of another user
    try:
        # The name, in brackets, may hold blanks; the 20th word after it is the time of the start.
        began = Path(f"/proc/{process_id}/stat").read_text("utf-8").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        began = ""
    return f"{process_id} {began}".strip()


def _lives(tag: str) -> bool:
    number = tag.partition(" ")[0]
    return number.isdigit() and described(int(number)) == tag
