"""A day that goes wrong in three ways and still comes out right, and a day that waits for a person."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import airflow_runs
import mlflow
import pytest
from airflow_runs import DAG, Airflow

import project_runs
from degre_pipeline.release import ledger
from degre_pipeline.release.aliases import CHAMPION, positions

pytestmark = [pytest.mark.airflow, pytest.mark.slow]

MODEL = "degre_reranker_test"
OUTAGE_SECONDS = 60
WEIGHTS_AND_LISTS = ("/06_models/", "/lookahead_sequences/part-", "/evaluated_lists", "/metrics.json")


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """Mounts a disk of one page on a folder, too small for what is written there."""
    folder.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"a tmpfs cannot be mounted here: {mounted.stderr.decode()}")
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


@dataclass
class Server:
    """An MLflow server that can be taken away."""

    project: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        program = Path(sys.executable).with_name("mlflow")
        store = ("--backend-store-uri", f"sqlite:///{self.project / 'mlflow.db'}")
        kept = ("--artifacts-destination", str(self.project / "kept"))
        words = (program, "server", *store, *kept, "--port", str(self.port), "--workers", "1")
        variables = os.environ | {
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
        }
        with (self.project.parent / "mlflow.log").open("ab") as log:
            self.process = subprocess.Popen(
                words, env=variables, stdout=log, stderr=log, start_new_session=True
            )
        airflow_runs.wait_until(self._answers, lambda: "the MLflow server does not answer")

    def _answers(self) -> bool:
        try:
            mlflow.MlflowClient(self.uri).search_experiments(max_results=1)
        except mlflow.MlflowException:
            return False
        return True

    def stop(self) -> None:
        assert self.process is not None
        airflow_runs.stop(self.process)


@dataclass(frozen=True)
class Disturbed:
    """A day after its faults, and the same day repeated without any."""

    airflow: Airflow
    run: str
    day: str
    tasks: dict[str, tuple[str, int]]
    champion_while_waiting: int | None
    asked: dict[str, Any]
    files: dict[str, bytes]
    files_repeated: dict[str, bytes]

    @property
    def project(self) -> Path:
        return self.airflow.project


@pytest.fixture(scope="module")
def disturbed(
    airflow_database: Path, mlflow_database: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Disturbed]:
    """Yesterday's run: its training killed, its disk full, its MLflow gone; then held, and let through.

    A model of three days ago serves meanwhile, so that there is something to compare with.
    """
    airflow = airflow_runs.lay_out(tmp_path_factory.mktemp("faults"), airflow_database, mlflow_database)
    server = Server(airflow.project, airflow_runs.free_port())
    airflow.variables.update(
        MLFLOW_TRACKING_URI=server.uri, MLFLOW_HTTP_REQUEST_MAX_RETRIES="2", DEGRE_RETRY_SECONDS="15"
    )
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    day = (today - timedelta(days=1)).date().isoformat()
    earlier = (today - timedelta(days=3)).date().isoformat()
    assert project_runs.kedro(airflow.project, "run", f"--params=run_date={earlier}").returncode == 0
    airflow_runs.merge_gate(airflow.project, airflow_runs.HOLDING_GATE)
    shards = airflow.project / "data/07_model_output/test" / day / "lookahead_sequences"
    server.start()
    try:
        with small_disk(shards), airflow.running():
            run = airflow.first_run()
            kill_in_the_middle(airflow, day)
            airflow.wait_for_task(run, "mining", "up_for_retry")
            subprocess.run(["mount", "-o", "remount,size=16m", shards], check=True)
            airflow.wait_for_task(run, "evaluation", "success")
            server.stop()
            time.sleep(OUTAGE_SECONDS)
            server.start()
            airflow.wait_for_task(run, "approval", "awaiting_input")
            champion = positions(mlflow.MlflowClient(server.uri), MODEL).get(CHAMPION)
            asked = let_through(airflow, run)
            airflow.wait_for_run(run)
            tasks, files = airflow.tasks(run), files_of(airflow.project, day)
            moment = (today + timedelta(seconds=1)).isoformat()
            assert airflow("dags", "trigger", DAG, "-l", moment, "-r", "repeated").returncode == 0
            airflow.wait_for_run("repeated")
            yield Disturbed(airflow, run, day, tasks, champion, asked, files, files_of(airflow.project, day))
    finally:
        server.stop()


def files_of(project: Path, day: str) -> dict[str, bytes]:
    """Returns the files of a day."""
    return {name: content for name, content in project_runs.written(project).items() if f"/{day}/" in name}


def kill_in_the_middle(airflow: Airflow, day: str) -> None:
    """Kills the training of the evaluators once the first of them is under way."""
    checkpoint = airflow.project / "data/06_models/test" / day / "checkpoints/mining_evaluator.safetensors"
    airflow_runs.wait_until(checkpoint.exists, lambda: f"{checkpoint} was never written", step=0.002)
    process = airflow_runs.process_of(airflow.project, "evaluator_training")
    assert process is not None
    os.kill(process, signal.SIGKILL)


def let_through(airflow: Airflow, run: str) -> dict[str, Any]:
    """Approves, as a person does on the page, and returns what the person was asked."""
    path = f"dags/{DAG}/dagRuns/{run}/taskInstances/release.approval/-1/hitlDetails".replace("+", "%2B")
    asked: dict[str, Any] = airflow.call("GET", path)
    airflow.call("PATCH", path, {"chosen_options": ["Approve"], "params_input": {}})
    return asked


def test_a_killed_task_is_tried_again_and_goes_on(disturbed: Disturbed) -> None:
    assert disturbed.tasks["evaluator_training"] == ("success", 2)
    log = log_of(disturbed, "training.evaluator_training", 2)
    assert "mining evaluator: resumed" in log


def test_a_full_disk_is_tried_again(disturbed: Disturbed) -> None:
    state, tries = disturbed.tasks["mining"]
    assert (state, tries >= 2) == ("success", True)
    first = log_of(disturbed, "training.mining", 1)
    assert "No space left on device" in first
    assert "exit code 75" in first


def test_a_minute_without_mlflow_is_waited_out(disturbed: Disturbed) -> None:
    state, tries = disturbed.tasks["registration"]
    assert (state, tries >= 2) == ("success", True)


def test_faults_neither_split_nor_spoil_the_run_of_mlflow(disturbed: Disturbed) -> None:
    found = project_runs.runs(disturbed.project)
    runs = {run.data.tags["workflow_run"]: run for run in found if "workflow_run" in run.data.tags}
    assert len(found) == 3, "with the one of three days ago"
    assert set(runs) == {f"{DAG} {disturbed.run}", f"{DAG} repeated"}
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    client = project_runs.client(disturbed.project)
    run_id = runs[f"{DAG} {disturbed.run}"].info.run_id
    for model in ("mining_evaluator", "external_evaluator", "generator"):
        curve = client.get_metric_history(run_id, f"{model}.validation_loss")
        assert [point.step for point in curve] == [1, 2]


def test_the_day_comes_out_as_without_faults(
    disturbed: Disturbed, mlflow_database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same day by one `kedro run` in a project of its own, on as many threads: sums depend on them."""
    monkeypatch.setenv("OMP_NUM_THREADS", disturbed.airflow.variables["OMP_NUM_THREADS"])
    calm = project_runs.lay_out(tmp_path / "calm", mlflow_database)
    done = project_runs.kedro(calm, "run", f"--params=run_date={disturbed.day}")
    assert done.returncode == 0, done.stderr
    expected = project_runs.written(calm)
    assert expected.keys() == disturbed.files.keys()
    compared = [name for name in expected if any(part in name for part in WEIGHTS_AND_LISTS)]
    compared = [name for name in compared if "checkpoints" not in name]
    assert len(compared) > 5
    assert {name for name in compared if expected[name] != disturbed.files[name]} == set()


def test_nothing_serves_until_a_person_lets_it(disturbed: Disturbed) -> None:
    assert disturbed.champion_while_waiting == 1
    assert "May the model of" in disturbed.asked["subject"]
    assert "Gate: hold" in disturbed.asked["body"]
    assert {disturbed.tasks[task][0] for task in ("approval", "promote_approved", "champion")} == {"success"}
    client = project_runs.client(disturbed.project)
    assert positions(client, MODEL)[CHAMPION] == 2
    approved, first = [entry.move for entry in ledger.entries(client, MODEL, CHAMPION)]
    assert (first.to_version, first.gate_outcome, first.flagged) == (1, "promote", False)
    assert (approved.to_version, approved.gate_outcome, approved.flagged) == (2, "hold", True)
    assert approved.why == "approved in Airflow"


def test_the_next_run_is_right(disturbed: Disturbed) -> None:
    assert disturbed.airflow.runs()["repeated"] == "success"
    changed = {
        Path(name).name
        for name, content in disturbed.files.items()
        if disturbed.files_repeated[name] != content
    }
    assert changed <= {"gate_facts.json", "gate_decision.json", "gate_report.html", "gate_moves.json"}
    versions = project_runs.client(disturbed.project).search_model_versions(f"name = '{MODEL}'")
    assert len(versions) == 2


def log_of(disturbed: Disturbed, task: str, attempt: int) -> str:
    """Returns what a task said in one of its attempts."""
    (path,) = (disturbed.airflow.home / "logs").glob(
        f"**/run_id={disturbed.run}/task_id={task}/attempt={attempt}.log"
    )
    return path.read_text("utf-8")
