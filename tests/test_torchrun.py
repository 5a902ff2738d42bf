"""Two processes that torchrun starts have the loss curve of one, and each file is written once."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import project_runs
from test_interrupted_training import CHECKPOINTS, KEDRO, MODELS, TORCHRUN, TRAINING, command, finish

pytestmark = pytest.mark.slow

PIPELINES = {
    "evaluator_training": ("external_evaluator", "mining_evaluator"),
    "generator_distillation": ("generator",),
}
EXACT = "epochs=3,batch_size=16,accumulate=2,learning_rate=0.01"
WITHOUT_CHANCE = "model.dropout=0,model.id_dropout=0"


def words(start: tuple[str, ...], pipeline: str) -> list[str]:
    *rest, parameters = command(start, pipeline, EXACT)
    chance = ",".join(f"{pipeline}.{setting}" for setting in WITHOUT_CHANCE.split(","))
    return [*rest, f"{parameters},{chance}"]


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_two_processes_have_the_loss_curve_of_one(
    finished_run: Path, mlflow_database: Path, tmp_path: Path, pipeline: str
) -> None:
    alone, shared = (
        project_runs.with_data_of(finished_run, tmp_path / name, mlflow_database) for name in ("one", "two")
    )
    finish(alone, words(KEDRO, pipeline))
    said = finish(shared, words(TORCHRUN, pipeline))

    for name in PIPELINES[pipeline]:
        one, two = (pd.read_parquet(p / f"{TRAINING}/{name}_history.parquet") for p in (alone, shared))
        losses = ["training_loss", "validation_loss"]
        assert len(one) == 3
        np.testing.assert_allclose(one[losses], two[losses], rtol=1e-4)
        assert one["validation_loss"].iloc[-1] < one["validation_loss"].iloc[0]
        assert said.count(f"Saving data to {name} ") == 1
    assert project_runs.written(alone).keys() == project_runs.written(shared).keys()
    assert not list((shared / CHECKPOINTS).glob(".*")) + list((shared / MODELS).glob(".*"))
    (run,) = project_runs.runs(shared)
    assert run.info.status == "FINISHED"
    assert run.data.tags["pipelines"] == pipeline


def test_a_batch_that_processes_cannot_share_is_refused(
    finished_run: Path, mlflow_database: Path, tmp_path: Path
) -> None:
    project = project_runs.with_data_of(finished_run, tmp_path / "project", mlflow_database)
    before = project_runs.written(project)

    with pytest.raises(
        AssertionError, match=r"batch_size is 15; allowed: a multiple of 2: 2 processes times"
    ):
        finish(project, command(TORCHRUN, "evaluator_training", "batch_size=15"))
    assert project_runs.written(project) == before


def test_other_pipelines_are_refused(finished_run: Path, mlflow_database: Path, tmp_path: Path) -> None:
    project = project_runs.with_data_of(finished_run, tmp_path / "project", mlflow_database)

    with pytest.raises(AssertionError, match="pipelines mining in 2 processes; allowed under torchrun"):
        finish(project, [*TORCHRUN, "--env=test", "--pipelines=mining"])
    assert project_runs.runs(project) == []
