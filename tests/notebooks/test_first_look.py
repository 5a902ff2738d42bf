"""The notebook of one request runs on what a finished run left behind."""

import re
from pathlib import Path

import nbformat
import pytest

import notebook_runs
import project_runs
from degre_pipeline.datasets import TensorsDataset

TRUTH = "data/02_intermediate/test/click_truth.safetensors"


@pytest.fixture
def notebook() -> nbformat.NotebookNode:
    return notebook_runs.read("01_first_look.ipynb")


@pytest.fixture
def project(finished_run: Path, tmp_path: Path, mlflow_database: Path) -> Path:
    """A finished project that the notebook has for itself."""
    return project_runs.with_data_of(finished_run, tmp_path / "project", mlflow_database)


def test_runs_on_the_simulated_shop_and_shows_the_truth(notebook, project, monkeypatch):
    notebook_runs.execute(notebook, project, monkeypatch)

    assert _rows_and_columns(notebook) == (
        ["ranking_order", "exposed", "beam", "generator", "true best"],
        ["mining", "external", "truth"],
    )
    assert notebook_runs.images(notebook) == 5


def test_runs_where_nobody_knows_the_truth(notebook, project, monkeypatch):
    TensorsDataset(str(project / TRUTH)).save({})

    notebook_runs.execute(notebook, project, monkeypatch)

    assert _rows_and_columns(notebook) == (
        ["ranking_order", "exposed", "beam", "generator"],
        ["mining", "external"],
    )
    assert notebook_runs.images(notebook) == 5


def _rows_and_columns(notebook: nbformat.NotebookNode) -> tuple[list[str], list[str]]:
    """Returns the lists and the judges of the one table of values."""
    [table] = [
        output.data["text/html"]
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "<th>mining</th>" in output.get("data", {}).get("text/html", "")
    ]
    names = re.findall("<th>(.+?)</th>", table)
    columns = names.index("ranking_order")
    return names[columns:], names[:columns]
