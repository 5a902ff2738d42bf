"""The notebook runs on what a finished run left behind, defines nothing and is committed without outputs."""

import ast
import os
import re
import sys
from pathlib import Path

import nbclient
import nbformat
import pytest

import project_runs
from degre_pipeline.datasets import TensorsDataset

NOTEBOOK = project_runs.SOURCE / "notebooks" / "01_first_look.ipynb"
IMPORTABLE = sys.stdlib_module_names | {"degre_pipeline", "kedro", "matplotlib", "pandas"}
TRUTH = "data/02_intermediate/test/click_truth.safetensors"


@pytest.fixture
def notebook() -> nbformat.NotebookNode:
    return nbformat.read(NOTEBOOK, as_version=4)


@pytest.fixture
def project(finished_run: Path, tmp_path: Path, mlflow_database: Path) -> Path:
    """A finished project that the notebook has for itself."""
    return project_runs.with_data_of(finished_run, tmp_path / "project", mlflow_database)


def test_runs_on_the_simulated_shop_and_shows_the_truth(notebook, project, monkeypatch):
    _execute(notebook, project, monkeypatch)

    assert _rows_and_columns(notebook) == (
        ["ranking_order", "exposed", "beam", "generator", "true best"],
        ["mining", "external", "truth"],
    )
    assert _images(notebook) == 5


def test_runs_where_nobody_knows_the_truth(notebook, project, monkeypatch):
    TensorsDataset(str(project / TRUTH)).save({})

    _execute(notebook, project, monkeypatch)

    assert _rows_and_columns(notebook) == (
        ["ranking_order", "exposed", "beam", "generator"],
        ["mining", "external"],
    )
    assert _images(notebook) == 5


def test_is_committed_without_outputs(notebook):
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]

    assert cells
    assert [cell for cell in cells if cell.outputs or cell.execution_count is not None] == []


def test_defines_nothing(notebook):
    definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)

    assert [ast.unparse(node) for node in ast.walk(_code(notebook)) if isinstance(node, definitions)] == []


def test_imports_only_the_project_kedro_pandas_and_matplotlib(notebook):
    nodes = list(ast.walk(_code(notebook)))
    modules = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    modules += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    imported = {module.split(".")[0] for module in modules}

    assert "degre_pipeline" in imported
    assert imported - IMPORTABLE == set()


def _execute(notebook: nbformat.NotebookNode, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


def _images(notebook: nbformat.NotebookNode) -> int:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return sum("image/png" in output.get("data", {}) for output in outputs)


def _code(notebook: nbformat.NotebookNode) -> ast.Module:
    return ast.parse("\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code"))
