"""Every notebook is committed without outputs, defines nothing and needs little."""

import ast
import sys

import nbformat
import pytest

import notebook_runs

IMPORTABLE = sys.stdlib_module_names | {"degre_pipeline", "kedro", "matplotlib", "pandas"}
NAMES = sorted(path.name for path in notebook_runs.FOLDER.glob("*.ipynb"))


@pytest.fixture(params=NAMES)
def notebook(request: pytest.FixtureRequest) -> nbformat.NotebookNode:
    return notebook_runs.read(request.param)


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


def _code(notebook: nbformat.NotebookNode) -> ast.Module:
    return ast.parse("\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code"))
