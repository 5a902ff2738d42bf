"""The tasks in containers, as a real Airflow with the providers' own operators builds them."""

from pathlib import Path
from typing import Any

import airflow_runs
import pytest

import project_runs
from degre_pipeline.cli import WRONG
from degre_pipeline.release.command_line import NOT_SO

pytestmark = pytest.mark.airflow

PLACES = {"docker": "DockerOperator", "kubernetes": "KubernetesPodOperator"}
VARIABLES = {
    "DEGRE_IMAGE": "shop/degre:1",
    "DEGRE_VOLUME_CLAIM": "degre-data",
    "MLFLOW_TRACKING_URI": "http://mlflow:5000",
}


def built(python: Path, home: Path, place: str, **variables: str) -> dict[str, Any]:
    """Returns what Airflow's Python builds for a place."""
    variables |= {"DEGRE_RUNS_IN": place}
    return airflow_runs.described("described_places.py", python, home, [1, WRONG], **variables)


@pytest.fixture(scope="module", params=list(PLACES))
def place(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def told(place: str, airflow_python: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return built(airflow_python, tmp_path_factory.mktemp("home"), place, **VARIABLES)


def test_every_command_of_the_project_runs_in_a_container_of_the_image(told, place) -> None:
    tasks = {name.rpartition(".")[2]: task for name, task in told["tasks"].items()}

    assert set(tasks) == {*project_runs.PIPELINES, "waits_for_a_person", "promote_approved", "champion"}
    assert {task["operator"] for task in tasks.values()} == {PLACES[place]}
    assert {task["image"] for task in tasks.values()} == {"shop/degre:1"}
    assert {task["retries"] for task in tasks.values()} == {3}
    on_gpu = {name for name, task in tasks.items() if task["pool"] == "gpu"}
    assert on_gpu == {"evaluator_training", "mining", "generator_distillation"}


def test_a_container_runs_the_same_words_as_the_shell(told) -> None:
    words = {name.rpartition(".")[2]: task["words"] for name, task in told["tasks"].items()}

    for name in project_runs.PIPELINES:
        program, *options, parameters = words[name]
        assert [program, *options] == ["kedro", "run", f"--pipeline={name}", "--env=test"]
        assert parameters.startswith("--params=run_date={{ ")
        assert ("promotes=never" in parameters) == (name == "gate")
    assert words["waits_for_a_person"][:3] == ["degre", "check", "waits"]
    assert words["promote_approved"][:3] == ["degre", "promote", "--why=approved in Airflow"]
    assert words["champion"][:3] == ["degre", "check", "serves"]
    assert all(words[name][-1] == "--env=test" for name in words if words[name][0] == "degre")


def test_a_container_knows_its_run_its_mlflow_and_the_projects_data(told, place) -> None:
    for task in told["tasks"].values():
        assert set(task["variables"]) == {"DEGRE_WORKFLOW_RUN", "DEGRE_WHO", "MLFLOW_TRACKING_URI"}
        assert task["variables"]["MLFLOW_TRACKING_URI"] == "http://mlflow:5000"
        assert task["variables"]["DEGRE_WORKFLOW_RUN"] == "{{ dag.dag_id }} {{ run_id }}"
        if place == "docker":
            assert task["data"] == [str(project_runs.SOURCE / "data"), "/project/data", "bind"]
            assert (task["folder"], task["kept"]) == ("/project", "force")
        else:
            assert task["data"] == ["degre-data", "/project/data", True]


def test_exit_codes_mean_the_same_in_a_container(told) -> None:
    assert {tuple(task["skips_on"]) for task in told["tasks"].values()} == {(NOT_SO,)}
    assert told["after"] == {"1": "DEFAULT", str(WRONG): "FAIL"}


def test_a_setting_that_is_missing_is_named(place, airflow_python: Path, tmp_path: Path) -> None:
    without = {name: value for name, value in VARIABLES.items() if name != "DEGRE_IMAGE"}
    (error,) = built(airflow_python, tmp_path, place, **without)["errors"]

    assert f"DEGRE_IMAGE is not set; DEGRE_RUNS_IN={place} needs it" in error
