"""Days that a real scheduler runs: by itself, twice at once, and back-filled."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import airflow_runs
import pytest
from airflow_runs import DAG, Airflow

import project_runs
from degre_pipeline.release import ledger
from degre_pipeline.release.aliases import CHAMPION, positions

pytestmark = [pytest.mark.airflow, pytest.mark.slow]

MODEL = "degre_reranker_test"
MEASURED = {"gate_facts.json", "gate_decision.json", "gate_report.html", "gate_moves.json"}
"""What holds milliseconds, and which aliases a run moved: a repeated run measures and moves anew."""


@dataclass(frozen=True)
class Story:
    """What one scheduler has done, and the files of the day after its first run and after the others."""

    airflow: Airflow
    day: str
    first_run: str
    files: dict[str, str]
    files_of_twins: dict[str, str]
    backfilled: list[str]

    @property
    def project(self) -> Path:
        return self.airflow.project


def hashes(project: Path, day: str) -> dict[str, str]:
    """Returns the SHA-256 of every file of a day, without the pages about the checks."""
    written = project_runs.written(project).items()
    return {name: hashlib.sha256(content).hexdigest() for name, content in written if f"/{day}/" in name}


@pytest.fixture(scope="module")
def story(
    airflow_database: Path, mlflow_database: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Story]:
    """The scheduler's own run of yesterday, two more of the same day at once, and three earlier days."""
    airflow = airflow_runs.lay_out(tmp_path_factory.mktemp("story"), airflow_database, mlflow_database)
    with airflow.running():
        first = airflow.first_run()
        airflow.wait_for_run(first)
        today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        day = (today - timedelta(days=1)).date().isoformat()
        files = hashes(airflow.project, day)
        for number in (1, 2):
            moment = (today + timedelta(seconds=number)).isoformat()
            assert airflow("dags", "trigger", DAG, "-l", moment, "-r", f"twin_{number}").returncode == 0
        for number in (1, 2):
            airflow.wait_for_run(f"twin_{number}")
        files_of_twins = hashes(airflow.project, day)
        first_day, last_day = (today - timedelta(days=days) for days in (5, 3))
        words = (
            "--from-date",
            first_day.isoformat(),
            "--to-date",
            last_day.isoformat(),
            "--max-active-runs=1",
        )
        created = airflow("backfill", "create", "--dag-id", DAG, *words)
        assert created.returncode == 0, created.stderr
        airflow_runs.wait_until(lambda: len(airflow.runs()) == 6, lambda: str(airflow.runs()))
        backfilled = [run for run in airflow.runs() if run.startswith("backfill")]
        for run in backfilled:
            airflow.wait_for_run(run)
        yield Story(airflow, day, first, files, files_of_twins, backfilled)


def test_the_scheduler_runs_yesterday_to_the_end(story: Story) -> None:
    assert story.airflow.runs()[story.first_run] == "success"
    states = {task: state for task, (state, _) in story.airflow.tasks(story.first_run).items()}
    skipped = {"waits_for_a_person", "approval", "promote_approved"}
    assert {task for task, state in states.items() if state == "skipped"} == skipped
    assert {state for task, state in states.items() if task not in skipped} == {"success"}
    assert {tries for _, tries in story.airflow.tasks(story.first_run).values()} <= {0, 1}


def test_the_day_is_the_data_interval_and_its_files_are_dated(story: Story) -> None:
    (interval,) = story.airflow.rows(
        "select data_interval_start, data_interval_end from dag_run where run_id = ?", story.first_run
    )
    begin, end = (datetime.fromisoformat(moment) for moment in interval)
    assert (begin.date().isoformat(), end - begin) == (story.day, timedelta(days=1))
    assert all(
        any(f"/{day}/" in name for day in days_of(story)) for name in project_runs.written(story.project)
    )


def days_of(story: Story) -> list[str]:
    last = datetime.fromisoformat(story.day).date()
    return [(last - timedelta(days=before)).isoformat() for before in (4, 3, 2, 0)]


def test_training_uses_the_days_before_and_the_slice_is_the_day(story: Story) -> None:
    tags = project_runs.client(story.project).get_model_version(MODEL, "1").tags
    last = datetime.fromisoformat(story.day).date()
    assert tags["training_last_day"] == (last - timedelta(days=1)).isoformat()
    assert tags["training_first_day"] == (last - timedelta(days=4)).isoformat()
    assert (tags["slice_first_day"], tags["slice_last_day"], tags["run_date"]) == (story.day,) * 3


def test_a_run_of_the_dag_is_one_finished_run_of_mlflow(story: Story) -> None:
    runs = project_runs.runs(story.project)
    assert {run.data.tags["workflow_run"] for run in runs} == {
        f"{DAG} {name}" for name in story.airflow.runs()
    }
    assert len(runs) == len(story.airflow.runs())
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert {run.data.tags["pipelines"] for run in runs} == {"+".join(project_runs.PIPELINES)}


def test_the_day_again_gives_identical_files_and_no_version(story: Story) -> None:
    assert [story.airflow.runs()[f"twin_{number}"] for number in (1, 2)] == ["success", "success"]
    assert len(story.files) > 20
    assert story.files.keys() == story.files_of_twins.keys()
    changed = {Path(name).name for name, sha in story.files.items() if story.files_of_twins[name] != sha}
    assert changed <= MEASURED
    versions = project_runs.client(story.project).search_model_versions(f"name = '{MODEL}'")
    assert sorted(version.tags["run_date"] for version in versions) == days_of(story)


def test_two_runs_at_once_take_turns(story: Story) -> None:
    spans = story.airflow.rows(
        "select start_date, end_date from dag_run where run_id like 'twin%' order by start_date"
    )
    (_, end_of_one), (start_of_other, _) = spans
    assert end_of_one <= start_of_other


def test_a_backfill_trains_candidates_and_leaves_the_champion_alone(story: Story) -> None:
    assert [story.airflow.runs()[run] for run in story.backfilled] == ["success"] * 3
    client = project_runs.client(story.project)
    assert positions(client, MODEL)[CHAMPION] == 1
    (only,) = ledger.entries(client, MODEL, CHAMPION)
    assert (only.move.to_version, only.move.gate_outcome, only.move.flagged) == (1, "promote", False)
    for run in story.backfilled:
        tasks = story.airflow.tasks(run)
        assert tasks["may_serve"][0] == "success"
        assert {tasks[task][0] for task in ("waits_for_a_person", "approval", "champion")} == {"skipped"}


def test_a_new_champion_updates_the_asset(story: Story) -> None:
    told = story.airflow.rows("select source_run_id from asset_event")
    assert {run for (run,) in told} == {story.first_run, "twin_1", "twin_2"}


def test_the_page_shows_the_documentation(story: Story) -> None:
    details = story.airflow.call("GET", f"dags/{DAG}/details")
    assert details["doc_md"].startswith("Retrains the reranker on the days before each day")
