"""The whole project, from `kedro run` to lists reranked by the registered model."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
import torch
from kedro.framework.cli.cli import KedroCLI
from mlflow.entities import Run
from torch import Tensor

import project_runs
from degre_pipeline.datasets.tensor_files import read_tensors
from degre_pipeline.hooks.provenance import REQUEST_LOG_TABLES
from degre_pipeline.pipelines.mining import nodes as mining
from degre_pipeline.release.aliases import positions
from degre_pipeline.reranker.models.stored_models import restore_generator
from degre_pipeline.reranker.requests import Requests

MODEL = "degre_reranker_test"
REPORTING = Path("data/08_reporting/test")
SHARDS = "data/07_model_output/test/lookahead_sequences"
GENERATOR = "data/06_models/test/generator.safetensors"
METRICS = str(REPORTING / "evaluation/metrics.json")


@pytest.fixture(scope="module")
def second_run(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another `kedro run` without data, in a copy of the finished run's database."""
    folder = tmp_path_factory.mktemp("second") / "project"
    project = project_runs.lay_out(folder, finished_run / "mlflow.db")
    project_runs.run(project)
    return project


@pytest.fixture(scope="module")
def first(finished_run: Path) -> Run:
    (only,) = project_runs.runs(finished_run)
    return only


@pytest.fixture
def mined(finished_run: Path, mlflow_database: Path, tmp_path: Path) -> Path:
    """A copy of the finished project that a test may change."""
    return project_runs.with_data_of(finished_run, tmp_path / "project", mlflow_database)


@pytest.fixture
def made_shards(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the shards that mining makes from here on."""
    sizes: list[int] = []
    make = mining.mine

    def counted(evaluator: Any, requests: Requests, rows: Tensor, *rest: Any) -> dict[str, Tensor]:
        shard = make(evaluator, requests, rows, *rest)
        sizes.append(len(rows))
        return shard

    monkeypatch.setattr(mining, "mine", counted)
    return sizes


def shards(project: Path) -> dict[str, dict[str, list[Any]]]:
    """Returns the tensors of every shard by its file; the bytes of a file's header come in any order."""
    files = sorted((project / SHARDS).glob("*.safetensors"))
    return {file.name: {name: t.tolist() for name, t in read_tensors(file).items()} for file in files}


# ---------------------------------------------------------------- the same seed, the same results


def test_a_second_run_gives_the_same_figures_and_weights(finished_run: Path, second_run: Path) -> None:
    first, second = project_runs.written(finished_run), project_runs.written(second_run)
    assert json.loads(first[METRICS]) == json.loads(second[METRICS])
    assert first[GENERATOR] == second[GENERATOR]
    assert first.keys() == second.keys()
    assert shards(finished_run) == shards(second_run)
    differing = {name for name in first if first[name] != second[name] and SHARDS not in name}
    with_seconds = {name for name in differing if name.endswith("_history.parquet") or "checkpoints" in name}
    with_latency = {"gate_facts.json", "gate_decision.json", "gate_report.html", "gate_moves.json"}
    others = {"registered_model.json"}
    assert {Path(name).name for name in differing - with_seconds} <= others | with_latency


def test_pipelines_run_one_by_one_give_what_they_give_together(
    finished_run: Path, mlflow_database: Path, tmp_path: Path
) -> None:
    project = project_runs.lay_out(tmp_path / "project", mlflow_database)
    for pipeline in project_runs.PIPELINES:
        project_runs.run(project, pipeline)
    together, apart = project_runs.written(finished_run), project_runs.written(project)
    assert together.keys() == apart.keys()
    assert together[GENERATOR] == apart[GENERATOR]
    assert json.loads(together[METRICS]) == json.loads(apart[METRICS])
    newest_first = [run.data.tags["pipelines"] for run in project_runs.runs(project)]
    assert tuple(reversed(newest_first)) == project_runs.PIPELINES


def test_figures_are_rows_of_the_promised_form(finished_run: Path) -> None:
    rows = json.loads((finished_run / METRICS).read_text("utf-8"))
    assert all(set(row) == {"subject", "judge", "metric", "value", "low", "high"} for row in rows)
    found = {(row["subject"], row["judge"], row["metric"]) for row in rows}
    for subject in ("generator", "beam", "ranking_order", "random", "exposed"):
        for judge in ("external", "mining", "truth"):
            assert {(subject, judge, metric) for metric in ("utility", "hr1", "hr3", "hr10")} <= found
        assert (subject, "truth", "regret") in found


# ---------------------------------------------------------------- MLflow


def test_a_run_is_one_finished_run_of_mlflow(first: Run, second_run: Path) -> None:
    assert first.info.status == "FINISHED"
    assert [run.info.status for run in project_runs.runs(second_run)] == ["FINISHED", "FINISHED"]


def test_every_parameter_is_a_field(finished_run: Path, first: Run) -> None:
    with project_runs.context(finished_run) as opened:
        declared = opened.config_loader["parameters"]
    leaves = dict(_leaves("", declared))
    assert leaves.items() <= first.data.params.items()
    assert first.data.params["generator_distillation.distillation.soft_label_weight"] == "0.01"


def test_tags_name_code_data_and_seed(finished_run: Path, first: Run, second_run: Path) -> None:
    head = (finished_run / ".git" / "refs" / "heads").iterdir()
    assert first.data.tags["git_commit"] in {branch.read_text().strip() for branch in head}
    assert first.data.tags["git_dirty"] == "false"
    tables = {name: finished_run / f"data/02_intermediate/test/{name}.parquet" for name in REQUEST_LOG_TABLES}
    digests = [f"{name} {hashlib.sha256(file.read_bytes()).hexdigest()}" for name, file in tables.items()]
    assert first.data.tags["data_sha256"] == hashlib.sha256("\n".join(digests).encode()).hexdigest()
    assert project_runs.runs(second_run)[0].data.tags["data_sha256"] == first.data.tags["data_sha256"]
    assert first.data.tags["seed"].split(", ") == ["0", "7"]


def test_learning_curves_have_a_point_an_epoch(finished_run: Path, first: Run) -> None:
    client = project_runs.client(finished_run)
    for model in ("mining_evaluator", "external_evaluator", "generator"):
        curve = client.get_metric_history(first.info.run_id, f"{model}.validation_loss")
        history = pd.read_parquet(finished_run / REPORTING / f"training/{model}_history.parquet")
        assert [point.step for point in curve] == history["epoch"].to_list()
        assert [point.value for point in curve] == history["validation_loss"].to_list()
        assert len(curve) == 2


def test_figures_are_metrics_of_the_run(finished_run: Path, first: Run) -> None:
    for row in json.loads((finished_run / METRICS).read_text("utf-8")):
        if row["value"] is not None:
            assert first.data.metrics[f"{row['judge']}.{row['subject']}.{row['metric']}"] == row["value"]


def test_diagnostics_are_metrics_of_the_run(finished_run: Path, first: Run) -> None:
    table = pd.read_parquet(finished_run / REPORTING / "evaluation/diagnostics.parquet")
    whole = table[table["at"].isna()]
    assert {"agreement", "optimism", "unlogged_next_item"} <= set(whole["diagnostic"])
    for row in whole.to_dict("records"):
        name = f"diagnostics.{row['diagnostic']}.{row['subject']}.{row['judge']}"
        assert first.data.metrics[name] == row["value"]
    curve = project_runs.client(finished_run).get_metric_history(
        first.info.run_id, "diagnostics.optimism_by_epoch.beam.truth"
    )
    assert [point.step for point in curve] == [1, 2]


def test_what_is_worth_keeping_is_an_artifact(finished_run: Path, first: Run) -> None:
    assert "index.html" in project_runs.artifacts(finished_run, first, "data_docs")
    assert {"metrics.json", "report.html"} <= project_runs.artifacts(finished_run, first, "reporting")
    assert project_runs.artifacts(finished_run, first, "documents") == {
        "feature_space.json",
        "ranking_feature_space.json",
        "start_feature_space.json",
    }
    trained = ("mining_evaluator", "external_evaluator", "generator", "ranking_model")
    models = {f"{name}.safetensors" for name in trained}
    assert project_runs.artifacts(finished_run, first, "models") == models


# ---------------------------------------------------------------- the registered model


@pytest.fixture
def registry(second_run: Path) -> Iterator[mlflow.MlflowClient]:
    uri = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(f"sqlite:///{second_run / 'mlflow.db'}")
    yield project_runs.client(second_run)
    mlflow.set_tracking_uri(uri)


def test_the_same_day_again_adds_no_version(registry: mlflow.MlflowClient, second_run: Path) -> None:
    (only,) = registry.search_model_versions(f"name = '{MODEL}'")
    _, older = project_runs.runs(second_run)
    assert only.run_id == older.info.run_id
    assert positions(registry, MODEL) == {"challenger": 1, "champion": 1}


def test_the_version_says_what_the_gate_found_and_on_what(
    registry: mlflow.MlflowClient, second_run: Path
) -> None:
    tags = registry.get_model_version(MODEL, "1").tags
    decision = project_runs.load(second_run, "gate_decision")
    assert (tags["gate_outcome"], tags["gate_first"]) == ("promote", "true")
    assert tags["slice_sha256"] == decision["slice"]["sha256"]
    assert (tags["training_first_day"], tags["training_last_day"]) == ("2026-01-27", "2026-01-30")
    assert (tags["slice_first_day"], tags["run_date"]) == ("2026-01-31", "2026-01-31")
    assert {"data_sha256", "git_commit"} <= set(tags)


def test_the_command_line_goes_on_from_what_runs_wrote(second_run: Path, tmp_path: Path) -> None:
    project = project_runs.lay_out(tmp_path / "project", second_run / "mlflow.db")
    said = degre(project, "history")
    assert "champion none -> 1  gate: promote  by gate, run by " in said
    assert "challenger none -> 1" in said
    project_runs.client(project).delete_registered_model_alias(MODEL, "champion")
    assert "champion 1 -> none" in degre(project, "history")
    assert "champion none -> 1" in degre(project, "promote", "--why", "back again")
    assert project_runs.client(project).get_model_version_by_alias(MODEL, "champion").version == 1


def degre(project: Path, *words: str) -> str:
    """Returns what the command `degre …` says in the project's folder."""
    command = [sys.executable, "-m", "degre_pipeline.release.command_line", *words, "--env=test"]
    variables = {**os.environ, "PYTHONPATH": str(project_runs.SOURCE / "src")}
    variables.pop("MLFLOW_TRACKING_URI", None)
    done = subprocess.run(command, cwd=project, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_registered_model_reranks_as_the_generator_does(
    registry: mlflow.MlflowClient, second_run: Path
) -> None:
    model = mlflow.pyfunc.load_model(f"models:/{MODEL}@challenger")
    example = model.input_example
    answer = model.predict(example)
    requests = project_runs.load(second_run, "request_tensors")
    rows = [requests.request_id.tolist().index(request_id) for request_id in answer["request_id"]]
    wanted = requests.select(torch.tensor(rows))
    generator = restore_generator(project_runs.load(second_run, "generator"))
    greedy, _ = generator.greedy_decode(wanted.static, wanted.candidates, wanted.mask)
    assert answer["candidate_indices"].to_list() == greedy.tolist()
    lists = project_runs.load(second_run, "lists").set_index("request_id")["candidate_item_ids"]
    for request_id, items, indices in zip(
        answer["request_id"], answer["item_ids"], answer["candidate_indices"], strict=True
    ):
        assert items == lists[request_id][indices].tolist()
        assert len(set(items)) == 4


# ---------------------------------------------------------------- mining


def test_mining_alone_from_the_command_line(mined: Path) -> None:
    before = shards(mined)
    shutil.rmtree(mined / SHARDS)
    done = project_runs.kedro(mined, "run", "--pipeline=mining")
    assert done.returncode == 0, done.stderr
    assert shards(mined) == before
    assert [run.data.tags["pipelines"] for run in project_runs.runs(mined)] == ["mining"]


def test_mining_again_makes_nothing(
    mined: Path, made_shards: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {file: file.stat().st_mtime_ns for file in (mined / SHARDS).iterdir()}
    with project_runs.opened(mined), monkeypatch.context() as patch:
        patch.chdir(mined)  # the command line looks for the project there
        KedroCLI(mined).main(["run", "--env=test", "--pipelines", "mining"], standalone_mode=False)
    assert [run.data.tags["pipelines"] for run in project_runs.runs(mined)] == ["mining"]
    assert made_shards == []
    assert {file: file.stat().st_mtime_ns for file in (mined / SHARDS).iterdir()} == before


def test_interrupted_mining_goes_on_to_the_same_result(
    mined: Path, made_shards: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = shards(mined)
    shutil.rmtree(mined / SHARDS)
    with monkeypatch.context() as patch:
        patch.setattr(mining, "mine", _stopping_after(2, mining.mine))
        with pytest.raises(KeyboardInterrupt):
            project_runs.run(mined, "mining")
    assert len(made_shards) == 2
    with pytest.raises(Exception, match=r"did not finish: 2 of \d+ shards"):
        project_runs.run(mined, "generator_distillation")
    project_runs.run(mined, "mining")
    assert len(made_shards) == len(before)
    assert shards(mined) == before


def test_other_settings_mine_anew(mined: Path, made_shards: list[int]) -> None:
    before = shards(mined)
    project_runs.run(mined, "mining", parameters={"mining.search.beam_size": 3})
    assert sum(made_shards) == len(project_runs.load(mined, "lookahead_sequences").concat("row"))
    assert before.keys() == shards(mined).keys()
    assert all(shards(mined)[name] != content for name, content in before.items())


def _stopping_after(count: int, make: Any) -> Any:
    left = iter(range(count))

    def stopping(*arguments: Any) -> dict[str, Tensor]:
        if next(left, None) is None:
            raise KeyboardInterrupt
        shard: dict[str, Tensor] = make(*arguments)
        return shard

    return stopping


def _leaves(prefix: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for name, child in value.items():
            yield from _leaves(f"{prefix}.{name}".lstrip("."), child)
    else:
        yield prefix, str(value)
