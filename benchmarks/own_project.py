"""The project once more in another folder: the same settings and code, but data and MLflow of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent


def lay_out(folder: Path) -> Path:
    """Returns the folder with today's settings and code; data that it holds already stay."""
    for name in ("conf", "src"):
        shutil.copytree(
            PROJECT / name,
            folder / name,
            ignore=shutil.ignore_patterns("__pycache__"),
            dirs_exist_ok=True,
        )
    shutil.copy(PROJECT / "pyproject.toml", folder)
    return folder


def kedro_run(project: Path, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Does `kedro run` in a project's folder, with its own code.

    Args:
        project: Its folder.
        words: What follows `kedro run` on the command line.
        options: Of `subprocess.run`.
    """
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [str(BIN / "kedro"), "run", *words]
    return subprocess.run(command, cwd=project, env=environment, text=True, check=False, **options)
