"""The DAG as a real Airflow reads it."""

import os
from pathlib import Path
from typing import Any

import airflow_runs
import pytest

import project_runs

pytestmark = pytest.mark.airflow

SNAPSHOT = project_runs.SOURCE / "tests" / "snapshots" / "daily_retraining.txt"
MOST_SECONDS = 2.0


def read_dag(python: Path, home: Path, **variables: str) -> dict[str, Any]:
    """Returns what Airflow's Python finds in the DAG folder."""
    return airflow_runs.described("described_dag.py", python, home, **variables)


@pytest.fixture(scope="module")
def dag(airflow_python: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return read_dag(airflow_python, tmp_path_factory.mktemp("home"))


def test_the_file_is_read_quickly_and_without_heavy_packages(dag: dict[str, Any]) -> None:
    assert dag["errors"] == {}
    assert dag["dags"] == ["daily_retraining"]
    assert dag["heavy"] == []
    assert dag["seconds"] < MOST_SECONDS


def test_the_tasks_are_as_recorded(dag: dict[str, Any]) -> None:
    text = "\n".join(dag["tasks"]) + "\n"
    if os.environ.get("REFRESH_SNAPSHOTS"):
        SNAPSHOT.write_text(text, "utf-8")
    assert text == SNAPSHOT.read_text("utf-8"), (
        "The DAG is no longer what the snapshot records. If that is meant: "
        "REFRESH_SNAPSHOTS=1 pytest tests/dags/test_dag_structure.py"
    )


def test_every_pipeline_runs_by_its_own_command_with_the_day(dag: dict[str, Any]) -> None:
    commands = {task.rpartition(".")[2]: line for task, line in dag["commands"].items()}
    assert set(project_runs.PIPELINES) <= set(commands)
    for name in project_runs.PIPELINES:
        assert f'kedro" "run" "--pipeline={name}" "--env=test" "--params=run_date={{{{' in commands[name]
    assert {name for name, line in commands.items() if "promotes=never" in line} == {"gate"}


def test_a_run_is_a_day_and_one_at_a_time(dag: dict[str, Any]) -> None:
    assert dag["timetable"] == "CronDataIntervalTimetable"
    assert (dag["max_active_runs"], dag["catchup"], dag["deadlines"]) == (1, False, 1)


def test_tasks_are_limited_and_tried_again(dag: dict[str, Any]) -> None:
    assert dag["retries"] == [3]
    unlimited = {task for task, seconds in dag["timeouts"].items() if not seconds}
    assert unlimited == {"release.approval", "release.may_serve"}


def test_the_page_is_documented_and_a_champion_is_told(dag: dict[str, Any]) -> None:
    assert dag["documented"]
    assert dag["outlets"] == {"release.champion": ["degre_champion"]}


def test_a_refit_follows_where_the_days_version_serves(airflow_python: Path, tmp_path: Path) -> None:
    found = read_dag(airflow_python, tmp_path, DEGRE_REFIT="yes")

    assert '"--pipeline=refit"' in found["commands"]["release.refit"]
    assert any(line.startswith("release.champion") and "release.refit" in line for line in found["tasks"])
    refused = read_dag(airflow_python, tmp_path, DEGRE_REFIT="perhaps")["errors"]
    assert ["DEGRE_REFIT is 'perhaps'; allowed: yes, no" in error for error in refused.values()] == [True]


def test_pipelines_that_bring_the_log_come_first(airflow_python: Path, tmp_path: Path) -> None:
    commands = read_dag(airflow_python, tmp_path, DEGRE_PIPELINES_BEFORE="living_shop")["commands"]

    assert list(commands)[:2] == ["data.living_shop", "data.ingestion"]
    assert '"--pipeline=living_shop"' in commands["data.living_shop"]


def test_settings_that_differ_go_to_every_pipeline(airflow_python: Path, tmp_path: Path) -> None:
    differs = "evaluation.settings.exact_requests=4"
    commands = read_dag(airflow_python, tmp_path, DEGRE_PARAMS=differs)["commands"]
    told = {task.rpartition(".")[2]: line for task, line in commands.items() if differs in line}

    assert set(told) == set(project_runs.PIPELINES)
    assert all(f"}}}},{differs}" in line for line in told.values())
    assert f"{differs}{{{{ ',gate.settings.promotes=never'" in told["gate"]


def test_an_unknown_place_is_named(airflow_python: Path, tmp_path: Path) -> None:
    (error,) = read_dag(airflow_python, tmp_path, DEGRE_RUNS_IN="cloud")["errors"].values()
    assert "DEGRE_RUNS_IN is 'cloud'; allowed: shell, docker, kubernetes" in error
