"""Runs of the notebooks in throw-away projects."""

import os
from pathlib import Path

import nbclient
import nbformat
import pytest

import project_runs

FOLDER = project_runs.SOURCE / "notebooks"


def read(name: str) -> nbformat.NotebookNode:
    return nbformat.read(FOLDER / name, as_version=4)


def execute(notebook: nbformat.NotebookNode, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Executes in the notebook folder of a project, in a kernel that finds this package."""
    folder = project / "notebooks"
    folder.mkdir()
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("KEDRO_ENV", "test")
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    path = os.pathsep.join([str(project_runs.SOURCE / "src"), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", path)
    client = nbclient.NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    client.execute()


def images(notebook: nbformat.NotebookNode) -> int:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return sum("image/png" in output.get("data", {}) for output in outputs)
