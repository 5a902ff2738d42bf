"""What the DAG file says and imports, without Airflow and without reading it as Python does."""

import ast
import sys
from pathlib import Path

import pytest

import project_runs
from degre_pipeline.cli import WRONG
from degre_pipeline.release.command_line import NOT_SO

FILES = sorted((project_runs.SOURCE / "dags").glob("*.py"))
(DAG_FILE,) = FILES
AT_PARSE_TIME = {"airflow.sdk", "airflow.providers.standard.operators.hitl"}
WHEN_CHOSEN = {
    "airflow.providers.standard.operators.bash",
    "airflow.providers.docker.operators.docker",
    "airflow.providers.cncf.kubernetes.operators.pod",
    "docker.types",
    "kubernetes.client",
}


def imports(nodes: list[ast.stmt]) -> set[str]:
    """Returns the modules that statements import, at whatever depth."""
    found = set()
    for node in (inner for outer in nodes for inner in ast.walk(outer)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or ".")
    return {name for name in found if name.split(".")[0] not in sys.stdlib_module_names}


def constant(name: str) -> object:
    """Returns the literal that the DAG file gives a name."""
    for node in ast.parse(DAG_FILE.read_text("utf-8")).body:
        if isinstance(node, ast.Assign):
            (target,) = node.targets
            if isinstance(target, ast.Name) and target.id == name:
                return ast.literal_eval(node.value)
            if isinstance(target, ast.Tuple) and name in [one.id for one in target.elts]:
                place = [one.id for one in target.elts].index(name)
                return ast.literal_eval(node.value)[place]
    raise AssertionError(f"{name} is not in {DAG_FILE}")


def test_only_airflow_is_imported_when_the_file_is_read() -> None:
    body = ast.parse(DAG_FILE.read_text("utf-8")).body
    outside = [node for node in body if not isinstance(node, ast.FunctionDef | ast.ClassDef)]
    assert imports(outside) == AT_PARSE_TIME
    assert imports(body) == AT_PARSE_TIME | WHEN_CHOSEN


def test_there_is_one_task_for_every_pipeline_in_the_order_of_the_data() -> None:
    groups = constant("PIPELINES")
    assert isinstance(groups, dict)
    assert list(groups) == ["data", "training", "release"]
    assert tuple(name for names in groups.values() for name in names) == project_runs.PIPELINES


@pytest.mark.parametrize(("name", "code"), [("WRONG", WRONG), ("NOT_SO", NOT_SO)])
def test_exit_codes_are_those_of_the_commands(name: str, code: int) -> None:
    assert constant(name) == code


def test_every_setting_is_in_the_guide() -> None:
    guide = Path(project_runs.SOURCE / "docs/how-to/retrain_daily.md").read_text("utf-8")
    text = DAG_FILE.read_text("utf-8")
    names = {word for word in text.replace('"', " ").replace("`", " ").split() if word.startswith("DEGRE_")}
    assert names, "no setting found"
    assert {name for name in names if name.isupper() and f"`{name}`" not in guide} == set()
