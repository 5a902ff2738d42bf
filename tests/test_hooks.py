"""The hooks in real Kedro sessions of a small throw-away project, with a real MLflow database."""

import hashlib
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import mlflow
import pytest
from kedro.framework import project
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from mlflow.utils.validation import MAX_PARAM_VAL_LENGTH

import degre_pipeline
from degre_pipeline.hooks.flat_parameters import CUT_MARK

pytestmark = [
    pytest.mark.filterwarnings("ignore:register_new_resolver"),  # omegaconf, used by kedro
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy"),  # sqlalchemy, used by mlflow
]
PACKAGE = "throw_away"
FILES = {
    "pyproject.toml": f"""
        [tool.kedro]
        package_name = "{PACKAGE}"
        project_name = "{PACKAGE}"
        kedro_init_version = "1.7.0"
        source_dir = "src"
    """,
    ".telemetry": "consent: false\n",
    "conf/base/catalog.yml": """
        users:
          type: pandas.ParquetDataset
          filepath: data/02_intermediate/users.parquet
          validator:
            class: degre_pipeline.validation.TableValidator
            "on": save
            options: {table: users, path: data/08_reporting/data_docs}
        feature_space: {type: json.JSONDataset, filepath: data/04_feature/feature_space.json}
        metrics: {type: json.JSONDataset, filepath: data/08_reporting/metrics.json}
        weights: {type: degre_pipeline.datasets.TensorsDataset, filepath: data/06_models/weights.safetensors}
        batches: {type: degre_pipeline.datasets.TensorsDataset, filepath: data/05_model_input/b.safetensors}
        untouched: {type: json.JSONDataset, filepath: data/08_reporting/untouched.json}
    """,
    "conf/base/parameters.yml": """
        seed: 7
        run_date: "2026-01-31"
        fitting:
          settings: {epochs: 2, sizes: [8, 4]}
          note: null
        fail: nothing
    """,
    "conf/local/.gitkeep": "",
    f"src/{PACKAGE}/__init__.py": "",
    # Some parameters are there only to be logged.
    f"src/{PACKAGE}/settings.py": """
        from degre_pipeline.hooks import UnreadParametersHook
        from degre_pipeline.settings import *

        HOOKS = tuple(hook for hook in HOOKS if not isinstance(hook, UnreadParametersHook))
    """,
    f"src/{PACKAGE}/pipeline_registry.py": """
        from dataclasses import dataclass

        import pandas as pd
        import torch
        from kedro.pipeline import Node, Pipeline


        @dataclass(frozen=True)
        class Settings:
            epochs: int
            sizes: list[int]


        def read_users(fail: str) -> pd.DataFrame:
            return pd.DataFrame({"user_id": [1, 1 if fail == "validation" else 2]})


        def fit(users: pd.DataFrame, settings: Settings, fail: str):
            if fail == "interrupt":
                raise KeyboardInterrupt
            if fail == "node":
                raise RuntimeError("the node failed")
            history = pd.DataFrame(
                {
                    "epoch": range(settings.epochs),
                    "loss": [0.5, 0.25],
                    "auc": [None, 0.75],
                    "best": ["no", "yes"],
                }
            )
            rows = [
                {"subject": "degre", "judge": "own", "metric": "ndcg@10", "value": 0.5, "low": 0.4},
                {"subject": "degre", "judge": "own", "metric": "unknown", "value": None, "low": None},
            ]
            return history, rows, {"fields": 2}, {"w": torch.zeros(1)}, {"b": torch.zeros(1)}


        def register_pipelines():
            reading = Pipeline([Node(read_users, "params:fail", "users", name="read_users")])
            outputs = ["fit_history", "metrics", "feature_space", "weights", "batches"]
            inputs = ["users", "params:fitting.settings", "params:fail"]
            fitting = Pipeline([Node(fit, inputs, outputs, name="fit")])
            return {"__default__": reading + fitting, "reading": reading, "fitting": fitting}
    """,
}


@pytest.fixture(scope="module")
def project_path(tmp_path_factory):
    """A project whose MLflow database is made once, because that takes seconds."""
    root = tmp_path_factory.mktemp("project").resolve()
    for name, content in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(textwrap.dedent(content))
    mlflow_yml = Path(__file__).parents[1] / "conf" / "base" / "mlflow.yml"
    (root / "conf" / "base" / "mlflow.yml").write_text(mlflow_yml.read_text())
    return root


@pytest.fixture(autouse=True)
def restored_process(monkeypatch, tmp_path):
    """Start elsewhere than in the project, and put back what Kedro and MLflow keep for the process."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    package, path, uri = project.PACKAGE_NAME, list(sys.path), mlflow.get_tracking_uri()
    yield
    assert mlflow.active_run() is None
    assert list(tmp_path.iterdir()) == [], "something was written into the working directory"
    sys.path[:] = path
    mlflow.set_tracking_uri(uri)
    if package is not None:
        project.configure_project(package)


def run(project_path, pipeline=None, **parameters):
    bootstrap_project(project_path)
    with KedroSession.create(project_path, runtime_params=parameters) as session:
        session.run(pipeline_names=[pipeline] if pipeline else None)


def runs(project_path):
    """Newest first."""
    client = mlflow.MlflowClient(f"sqlite:///{project_path / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("degre_pipeline")
    return client.search_runs([experiment.experiment_id], order_by=["attributes.start_time DESC"])


def artifacts(project_path, found, folder=None):
    client = mlflow.MlflowClient(f"sqlite:///{project_path / 'mlflow.db'}")
    return sorted(one.path for one in client.list_artifacts(found.info.run_id, folder))


@pytest.fixture(scope="module")
def finished(project_path, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.chdir(tmp_path_factory.mktemp("elsewhere"))
        run(project_path, note_long="x" * (MAX_PARAM_VAL_LENGTH + 1))
    return runs(project_path)[0]


def test_run_is_finished_and_named(finished):
    assert finished.info.status == "FINISHED"
    assert finished.data.tags["pipelines"] == "__default__"


def test_every_parameter_is_a_field_of_its_own(finished):
    parameters = dict(finished.data.params)
    cut = parameters.pop("note_long")
    assert parameters == {
        "seed": "7",
        "run_date": "2026-01-31",
        "fitting.settings.epochs": "2",
        "fitting.settings.sizes": "[8, 4]",
        "fitting.note": "None",
        "fail": "nothing",
    }
    assert len(cut) == MAX_PARAM_VAL_LENGTH
    assert cut.endswith(CUT_MARK)


def test_tags_say_where_the_run_came_from(finished, project_path):
    tags = finished.data.tags
    assert (tags["seed"], tags["run_date"]) == ("7", "2026-01-31")
    assert "hardware" in tags
    assert (tags["git_commit"], tags["git_dirty"]) == ("unknown", "unknown")


def test_data_is_named_by_the_hash_of_its_files(finished, project_path):
    content = (project_path / "data/02_intermediate/users.parquet").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    assert finished.data.tags["data_sha256"] == hashlib.sha256(f"users {digest}".encode()).hexdigest()
    (used,) = finished.inputs.dataset_inputs
    assert used.dataset.name == "users"
    assert used.dataset.digest == digest[:36]
    assert "02_intermediate/users.parquet" in used.dataset.source


def test_learning_curves_have_one_step_an_epoch(finished, project_path):
    client = mlflow.MlflowClient(f"sqlite:///{project_path / 'mlflow.db'}")

    def curve(name):
        return [(point.step, point.value) for point in client.get_metric_history(finished.info.run_id, name)]

    assert curve("fit.loss") == [(0, 0.5), (1, 0.25)]
    assert curve("fit.auc") == [(1, 0.75)]


def test_metrics_are_results_curves_and_seconds(finished):
    metrics = finished.data.metrics
    assert set(metrics) == {
        "fit.loss",
        "fit.auc",
        "own.degre.ndcg_at_10",
        "seconds.read_users",
        "seconds.fit",
    }
    assert metrics["own.degre.ndcg_at_10"] == 0.5
    assert metrics["seconds.read_users"] > 0


def test_artifacts_are_what_this_run_wrote(finished, project_path):
    assert artifacts(project_path, finished) == ["data_docs", "documents", "models", "reporting"]
    assert artifacts(project_path, finished, "models") == ["models/weights.safetensors"]
    assert artifacts(project_path, finished, "reporting") == ["reporting/metrics.json"]
    assert artifacts(project_path, finished, "documents") == ["documents/feature_space.json"]
    assert "data_docs/index.html" in artifacts(project_path, finished, "data_docs")
    assert (project_path / "mlartifacts").is_dir()


def test_two_sessions_of_a_process_make_two_runs(finished, project_path):
    before = {one.info.run_id for one in runs(project_path)}
    run(project_path, "fitting", seed=8)
    run(project_path, "fitting", seed=9)
    new = [one for one in runs(project_path) if one.info.run_id not in before]
    assert [one.data.params["seed"] for one in new] == ["9", "8"]
    assert {one.info.status for one in new} == {"FINISHED"}
    assert {one.data.tags["pipelines"] for one in new} == {"fitting"}
    assert "seconds.read_users" not in new[0].data.metrics
    assert artifacts(project_path, new[0]) == ["documents", "models", "reporting"]


def test_failed_node_makes_a_failed_run_with_its_provenance(finished, project_path):
    with pytest.raises(RuntimeError, match="the node failed"):
        run(project_path, fail="node")
    failed = runs(project_path)[0]
    assert failed.info.status == "FAILED"
    assert failed.data.params["fail"] == "node"
    assert "data_sha256" in failed.data.tags
    assert set(failed.data.metrics) == {"seconds.read_users"}


def test_failed_validation_keeps_the_report_with_the_run(finished, project_path):
    good = (project_path / "data/02_intermediate/users.parquet").read_bytes()
    with pytest.raises(Exception, match="user_id occurs once"):
        run(project_path, fail="validation")
    failed = runs(project_path)[0]
    assert failed.info.status == "FAILED"
    assert "data_docs/index.html" in artifacts(project_path, failed, "data_docs")
    assert (project_path / "data/02_intermediate/users.parquet").read_bytes() == good


def test_interrupted_run_is_closed_as_failed_by_the_next_session(finished, project_path):
    with pytest.raises(KeyboardInterrupt):
        run(project_path, "fitting", fail="interrupt")
    run(project_path, "fitting")
    newest, interrupted = runs(project_path)[:2]
    assert (newest.info.status, interrupted.info.status) == ("FINISHED", "FAILED")


@pytest.mark.slow
def test_interrupted_process_leaves_a_failed_run(finished, project_path):
    code = f"""
import sys
from pathlib import Path
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
bootstrap_project(Path({str(project_path)!r}))
with KedroSession.create(Path({str(project_path)!r}), runtime_params={{"fail": "interrupt"}}) as session:
    session.run(pipeline_names=["fitting"])
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(degre_pipeline.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment
    )
    assert "KeyboardInterrupt" in done.stderr, done.stderr
    assert runs(project_path)[0].info.status == "FAILED"


def test_tracking_uri_of_the_environment_is_obeyed(finished, project_path, tmp_path_factory, monkeypatch):
    other = tmp_path_factory.mktemp("other")
    shutil.copy(project_path / "mlflow.db", other)  # making a second one takes seconds
    before = len(runs(project_path))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{other / 'mlflow.db'}")
    run(project_path, "fitting")
    assert (len(runs(other)), len(runs(project_path))) == (before + 1, before)


# ---------------------------------------------------------------- a workflow of several runs


@pytest.fixture
def workflow(project_path, monkeypatch, request):
    """The name of a workflow that every session of the test is a step of."""
    name = f"daily {request.node.name}"
    monkeypatch.setenv("DEGRE_WORKFLOW_RUN", name)
    return name


def runs_of(project_path, workflow):
    return [one for one in runs(project_path) if one.data.tags.get("workflow_run") == workflow]


def test_the_steps_of_a_workflow_are_one_run(project_path, workflow):
    run(project_path, "reading")
    run(project_path, "fitting")
    (only,) = runs_of(project_path, workflow)
    assert only.info.status == "FINISHED"
    assert only.info.run_name == workflow
    assert only.data.tags["pipelines"] == "reading+fitting"
    assert {"seconds.read_users", "seconds.fit", "fit.loss"} <= set(only.data.metrics)
    assert not [name for name in only.data.tags if name.startswith("changed.")]


def test_another_workflow_is_another_run(project_path, workflow, monkeypatch):
    run(project_path, "reading")
    monkeypatch.setenv("DEGRE_WORKFLOW_RUN", f"{workflow}, once more")
    run(project_path, "reading")
    assert len(runs_of(project_path, workflow)) == len(runs_of(project_path, f"{workflow}, once more")) == 1


@pytest.mark.parametrize("cause", ["node", "interrupt"])
def test_a_step_that_failed_goes_on_with_the_same_run(project_path, workflow, cause):
    run(project_path, "reading")
    with pytest.raises((RuntimeError, KeyboardInterrupt)):
        run(project_path, "fitting", fail=cause)
    run(project_path, "fitting")
    (only,) = runs_of(project_path, workflow)
    assert only.info.status == "FINISHED"


def test_numbers_that_a_repeated_step_finds_again_are_in_the_run_once(project_path, workflow):
    run(project_path, "reading")
    for _ in range(2):
        run(project_path, "fitting")
    (only,) = runs_of(project_path, workflow)
    client = mlflow.MlflowClient(f"sqlite:///{project_path / 'mlflow.db'}")
    curve = client.get_metric_history(only.info.run_id, "fit.loss")
    assert [(point.step, point.value) for point in curve] == [(0, 0.5), (1, 0.25)]
    assert len(only.inputs.dataset_inputs) == 1


def test_a_setting_that_was_mended_between_two_steps_is_told(project_path, workflow):
    run(project_path, "reading", seed=8)
    run(project_path, "fitting", seed=9)
    (only,) = runs_of(project_path, workflow)
    assert only.data.params["seed"] == "8"
    assert only.data.tags["changed.seed"] == "9"
