"""The code blocks of a how-to page, in their order, and what runs them as a reader would."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import project_runs

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# (\S+/\S+)\n")


@dataclass(frozen=True)
class Block:
    """A block of a page: its language and its text."""

    language: str
    text: str


def blocks(page: Path) -> list[Block]:
    """Returns the page's code blocks, first to last."""
    return [Block(*found) for found in _BLOCK.findall(page.read_text("utf-8"))]


@dataclass(frozen=True)
class Reader:
    """Somebody who does in a project what a page says.

    Attributes:
        project: The project's folder, in which everything is typed.
        variables: Of the environment, besides this process's own.
    """

    project: Path
    variables: Mapping[str, str]

    def follow(self, block: Block) -> str:
        """Does what a block says, to its end, and returns what was printed."""
        if block.language == "yaml":
            (name,) = _FILE.match(block.text).groups()
            (self.project / name).parent.mkdir(parents=True, exist_ok=True)
            (self.project / name).write_text(block.text, "utf-8")
            return ""
        words = {"sh": ["bash", "-euc"], "python": [sys.executable, "-c"]}[block.language]
        done = subprocess.run(
            [*words, block.text],
            cwd=self.project,
            env=self._environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{block.text}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    @contextmanager
    def following(self, block: Block) -> Iterator[subprocess.Popen[bytes]]:
        """Does what a block says for as long as the body lasts, as in another terminal."""
        process = subprocess.Popen(
            ["bash", "-euc", block.text], cwd=self.project, env=self._environment(), start_new_session=True
        )
        try:
            yield process
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=60)

    def _environment(self) -> dict[str, str]:
        own = {
            name: value
            for name, value in os.environ.items()
            if name not in ("MLFLOW_TRACKING_URI", "KEDRO_ENV")
        }
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        source = str(project_runs.SOURCE / "src")
        return {**own, "PATH": path, "PYTHONPATH": source, "DO_NOT_TRACK": "true", **self.variables}
