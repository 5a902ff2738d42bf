"""What the kernel tells of processes (Linux), read from /proc: `ps` cuts its lines to a terminal's width."""

import time
from collections.abc import Iterator
from pathlib import Path


def is_running(pid: int) -> bool:
    """Returns whether a process is alive: there, and no zombie that nobody waits for."""
    return _state_and_parent(pid)[0] not in "ZX"


def ended_within(pid: int, seconds: float) -> bool:
    """Returns whether a process ends before some seconds are over."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if not is_running(pid):
            return True
        time.sleep(0.05)
    return False


def children(pid: int, said: str = "") -> list[int]:
    """Returns the living processes that a process started itself and whose command says something."""
    return [one for one in _all() if _state_and_parent(one)[1] == pid and said in _command(one)]


def descendants(pid: int) -> list[int]:
    """Returns the processes that a process started, and that those started."""
    own = children(pid)
    return own + [one for child in own for one in descendants(child)]


def _all() -> Iterator[int]:
    return (int(folder.name) for folder in Path("/proc").iterdir() if folder.name.isdigit())


def _state_and_parent(pid: int) -> tuple[str, int]:
    try:
        state, parent = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[:2]
    except (FileNotFoundError, ProcessLookupError):
        return "X", 0
    return state, int(parent)


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text("utf-8").replace("\0", " ")
    except (FileNotFoundError, ProcessLookupError):
        return ""
