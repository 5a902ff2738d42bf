"""What a run is: its command, its time, its data and its code."""

import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

UNKNOWN = "unknown"
WORKFLOW_RUN = "DEGRE_WORKFLOW_RUN"
"""Environment variable by which a scheduler names the workflow that a command is a step of."""


@dataclass(frozen=True)
class RunFacts:
    """What a page says of the run that made it.

    Attributes:
        command: What was typed.
        when: Date and minute, UTC.
        data: Name of the data.
        commit: Of the code, "unknown" outside a repository.
        changed: Whether files differ from the commit.
    """

    command: str
    when: str
    data: str
    commit: str
    changed: bool = False


def facts_now(data: str, project: Path) -> RunFacts:
    """Returns the facts of the command that runs.

    Args:
        data: Name of the data.
        project: Folder of the code.
    """
    commit, changed = git_state(project)
    command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])
    return RunFacts(command, f"{datetime.now(UTC):%Y-%m-%d %H:%M}", data, commit, changed)


def git_state(folder: Path) -> tuple[str, bool]:
    """Returns the commit of a folder and whether files differ from it; "unknown" outside a repository."""
    try:
        return _git(folder, "rev-parse", "HEAD"), bool(_git(folder, "status", "--porcelain"))
    except (OSError, subprocess.CalledProcessError):
        return UNKNOWN, False


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
