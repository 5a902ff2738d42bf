"""The import contracts of pyproject.toml hold, and each of them can fail."""

import ast
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import grimp
import pytest

from degre_pipeline.reranker.training.training_state import UNTRAINED

PROJECT = Path(__file__).resolve().parents[1]
PACKAGE = PROJECT / "src" / "degre_pipeline"
CONTRACTS = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]

# One forbidden import for every contract: file inside the package -> its whole text. `name` keeps it apart.
PLANTED = {
    "layers": {"simulation/planted.py": "import degre_pipeline.datasets"},
    "science": {"reranker/planted.py": "import mlflow"},
    "reranker-flow": {"reranker/features.py": "import degre_pipeline.reranker.losses"},
    "judging-flow": {"judging/judges.py": "import degre_pipeline.judging.metric_rows"},
    "gate": {"release/gate/rules.py": "import pandas"},
    "pipelines-apart": {
        "pipelines/planted/__init__.py": "",
        "pipelines/planted/nodes.py": "import degre_pipeline.pipelines.neighbour",
        "pipelines/neighbour/__init__.py": "",
    },
    "nodes": {"pipelines/planted/__init__.py": "", "pipelines/planted/nodes.py": "import kedro.pipeline"},
    "mlflow": {"pipelines/planted/__init__.py": "", "pipelines/planted/nodes.py": "import mlflow.pytorch"},
    "great-expectations": {"datasets/planted.py": "import great_expectations"},
    "airflow": {"sources/planted.py": "def later():\n    import airflow.sdk"},
    "serving": {"serving/web/planted.py": "from kedro.io import DataCatalog"},
    "serving-model": {"serving/model/planted.py": "import degre_pipeline.serving.web"},
    "acyclic": {
        "sources/planted.py": "import degre_pipeline.sources.tree",
        "sources/tree.py": "import degre_pipeline.sources.planted",
    },
}


def lint_imports(source: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run import-linter with the project's contracts on the package in `source`."""
    command = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    settings = ["--config", str(PROJECT / "pyproject.toml"), "--no-cache", *options]
    return subprocess.run(
        [sys.executable, "-c", command, *settings],
        cwd=source,
        env=os.environ | {"PYTHONPATH": str(source)},
        capture_output=True,
        text=True,
        check=False,
    )


def imported_modules(path: Path) -> Iterator[str]:
    """Yield the full names of what a file imports; relative imports keep their dots."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


def third_parties(folder: Path) -> set[str]:
    """Top-level packages imported anywhere in a folder, less the standard library and the project's own."""
    files = list(folder.rglob("*.py"))
    assert files, f"{folder} holds no Python file"
    roots = {name.split(".")[0] for file in files for name in imported_modules(file)}
    return roots - sys.stdlib_module_names - {"", "degre_pipeline"}


def test_contracts_hold():
    result = lint_imports(PACKAGE.parent)
    assert result.returncode == 0, result.stdout + result.stderr


def test_every_contract_has_a_planted_violation():
    assert set(PLANTED) == {contract["id"] for contract in CONTRACTS}


@pytest.mark.parametrize("contract", PLANTED)
def test_contract_breaks_on_a_planted_import(contract: str, tmp_path: Path):
    shutil.copytree(PACKAGE, tmp_path / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))
    for name, text in PLANTED[contract].items():
        file = tmp_path / PACKAGE.name / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    result = lint_imports(tmp_path, "--contract", contract)
    assert result.returncode == 1, result.stdout + result.stderr
    assert "BROKEN" in result.stdout


def test_a_room_off_the_map_is_refused(tmp_path: Path):
    shutil.copytree(PACKAGE, tmp_path / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / PACKAGE.name / "attic.py").write_text("", encoding="utf-8")
    result = lint_imports(tmp_path, "--contract", "layers")
    assert result.returncode == 1
    assert "attic" in result.stdout


@pytest.mark.parametrize("room", ["reranker", "simulation"])
def test_science_needs_only_torch_and_numpy(room: str):
    progress_bars = {"tqdm"}
    assert third_parties(PACKAGE / room) <= {"torch", "numpy"} | progress_bars


def test_pipeline_files_only_wire_nodes():
    files = sorted((PACKAGE / "pipelines").glob("*/pipeline.py"))
    assert files
    for file in files:
        own_nodes = {".", ".nodes", f"degre_pipeline.pipelines.{file.parent.name}.nodes"}
        assert set(imported_modules(file)) <= own_nodes | {"kedro.pipeline"}, file


def test_no_room_for_odds_and_ends():
    names = {path.stem for path in PACKAGE.rglob("*")}
    assert names.isdisjoint({"utils", "util", "helpers", "common", "core", "misc"})


def test_a_kept_training_depends_on_whatever_a_training_imports():
    graph = grimp.build_graph("degre_pipeline")
    science = {name for name in graph.modules if name.startswith("degre_pipeline.reranker.")}
    files = {name for name in science if not graph.find_children(name)}
    loop = "degre_pipeline.reranker.training.loop"
    trained = {name for name in science if loop in graph.find_modules_directly_imported_by(name)} | {loop}
    trained |= graph.find_children("degre_pipeline.reranker.baselines")
    needed = trained.union(*map(graph.find_upstream_modules, trained))
    untrained = {
        f"degre_pipeline.reranker.{name.removesuffix('.py').replace('/', '.')}" for name in UNTRAINED
    }
    assert untrained == files - needed
