"""`kedro run` as a process that can be hurt, and what has to hold of its project afterwards."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import pandas as pd
from kedro.framework.context import KedroContext
from kedro.framework.session import KedroSession

import project_runs
from degre_pipeline.release import ledger
from degre_pipeline.release.aliases import CHAMPION, notice, positions

ENV = "test"
DAY = "2026-02-01"
LIGHT = (
    "evaluation.settings.exact_requests=1,evaluation.settings.judged_requests=5,"
    "evaluation.diagnostics.requests=2"
)
REGISTERED, DECIDED = "registration/registered_model.json", "gate/gate_decision.json"
HISTORY = "_history.parquet"
TIMED = (
    "registered_model",
    "gate_facts",
    "gate_decision",
    "gate_moves",
    "gate_report",
    "checkpoints/",
    HISTORY,
)
"""Parts of names of files that tell their run, or how long something took."""


@dataclass(frozen=True)
class Finished:
    """A project whose main job ran to the end without any damage.

    Attributes:
        folder: Where it lies; only read.
        written: Its files by path.
        seconds: How long the run took.
        database: An MLflow database without runs, for further projects.
    """

    folder: Path
    written: dict[str, bytes]
    seconds: float
    database: Path

    def empty(self, folder: Path) -> Path:
        """Returns a new project in which nothing ran."""
        return project_runs.lay_out(folder, self.database)


@dataclass
class Process:
    """A process in a group of its own, and what it says."""

    popen: subprocess.Popen[bytes]
    output: IO[bytes] = field(repr=False)

    def end(self, seconds: float = 600) -> tuple[int, str]:
        """Waits for the end; returns the exit code and what was said."""
        code = self.popen.wait(seconds)
        with self.output as output:
            output.seek(0)
            return code, output.read().decode(errors="replace")[-5000:]

    def kill(self, after: float) -> bool:
        """Kills the whole group after so many seconds; returns whether it was still at work."""
        with self.output:
            try:
                self.popen.wait(after)
            except subprocess.TimeoutExpired:
                os.killpg(self.popen.pid, signal.SIGKILL)
                self.popen.wait()
                return True
            return False


def started(
    project: Path, day: str, *words: str, settings: str = LIGHT, variables: Mapping[str, str] | None = None
) -> Process:
    """Starts `kedro run` for a day."""
    output = TemporaryFile()  # noqa: SIM115 - closed with the process
    own = {
        "KEDRO_ENV": ENV,
        "PYTHONPATH": str(project_runs.SOURCE / "src"),
        "DO_NOT_TRACK": "true",
        "OMP_NUM_THREADS": "1",
    }
    inherited = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    popen = subprocess.Popen(
        [Path(sys.executable).with_name("kedro"), "run", f"--params=run_date={day},{settings}", *words],
        cwd=project,
        env=inherited | own | dict(variables or {}),
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    return Process(popen, output)


@contextmanager
def context_of_day(project: Path) -> Iterator[KedroContext]:
    """Opens the project of a finished day without running anything."""
    parameters = {"run_date": DAY}
    with (
        project_runs.opened(project),
        KedroSession.create(project, env=ENV, runtime_params=parameters) as session,
    ):
        yield session.load_context()


def check_equal(project: Path, expected: Mapping[str, bytes]) -> None:
    """All files are those of the undamaged run to the byte, but for how long something took."""
    found = project_runs.written(project)
    assert set(found) == set(expected)
    others = [name for name in sorted(expected) if not any(part in name for part in TIMED)]
    assert [name for name in others if found[name] != expected[name]] == []
    for name in expected:
        if name.endswith(HISTORY):
            pd.testing.assert_frame_equal(_history(found[name]), _history(expected[name]))


def _history(file: bytes) -> pd.DataFrame:
    return pd.read_parquet(BytesIO(file)).drop(columns="seconds")


def check_registry(project: Path) -> None:
    """Exactly what the gate let through serves, and the ledger tells every move without a gap."""
    client = project_runs.client(project)
    registered, decision = (_read(project, name) for name in (REGISTERED, DECIDED))
    model, version = registered["name"], registered["version"]
    assert positions(client, model)[CHAMPION] == version == decision["challenger"]["version"]
    assert client.get_model_version(model, str(version)).tags["gate_outcome"] == "promote"
    assert notice(client, model) == []
    check_chain(client, model)


def _read(project: Path, name: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((project / f"data/08_reporting/{ENV}/{DAY}/{name}").read_text())
    return read


def check_chain(client: Any, model: str) -> None:
    """Every move begins where the one before it ended, and the last one ended where the champion is."""
    moves = [entry.move for entry in reversed(ledger.entries(client, model, CHAMPION))]
    ends = [None, *(move.to_version for move in moves)]
    assert [move.from_version for move in moves] == ends[:-1]
    assert positions(client, model)[CHAMPION] == ends[-1]
