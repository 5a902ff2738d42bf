"""Trainings that are killed, by SIGKILL and at any moment, go on to the same files."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest
import torch

import project_runs
from degre_pipeline.datasets.tensor_files import read_tensors
from processes import descendants

pytestmark = pytest.mark.slow

MODELS, TRAINING = "data/06_models/test", "data/08_reporting/test/training"
MINED_BY_EPOCH = "data/07_model_output/test/mined_by_epoch.safetensors"
CHECKPOINTS = f"{MODELS}/checkpoints"
EVALUATORS = ("external_evaluator", "mining_evaluator")
LONG = "epochs=8,patience=8,batch_size=16,checkpoint_every_steps=3"
KEDRO = (str(Path(sys.executable).with_name("kedro")), "run")
TORCHRUN = (
    str(Path(sys.executable).with_name("torchrun")),
    *("--standalone", "--nproc-per-node=2", "-m", "degre_pipeline"),
)
WAITED_AT_MOST_SECONDS = 120


def command(start: Sequence[str], pipeline: str, settings: str = LONG) -> list[str]:
    named = ",".join(f"{pipeline}.training.{setting}" for setting in settings.split(","))
    return [*start, "--env=test", f"--pipelines={pipeline}", f"--params={named}"]


def environment() -> dict[str, str]:
    own = {
        "PYTHONPATH": str(project_runs.SOURCE / "src"),
        "DO_NOT_TRACK": "true",
        "OMP_NUM_THREADS": "1",
        "COLUMNS": "1000",
    }
    return {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"} | own


def finish(project: Path, words: Sequence[str]) -> str:
    """Runs to the end and returns what was said, in one line."""
    done = subprocess.run(
        words, cwd=project, env=environment(), capture_output=True, text=True, check=False, timeout=300
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-5000:]
    return " ".join(said.split())


def kill(project: Path, words: Sequence[str], checkpoint: str, writes: int) -> None:
    """Runs until a checkpoint was written so many times, then kills the processes without a warning."""
    path, seen, deadline = project / CHECKPOINTS / f"{checkpoint}.safetensors", set(), time.monotonic()
    before = path.stat().st_ino if path.exists() else None
    process = subprocess.Popen(
        words,
        cwd=project,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    while len(seen) < writes:
        assert process.poll() is None, "it ended before it was killed"
        assert time.monotonic() < deadline + WAITED_AT_MOST_SECONDS
        if path.exists():
            seen |= {path.stat().st_mtime_ns} if path.stat().st_ino != before or seen else set()
        time.sleep(0.0005)
    for pid in [process.pid, *descendants(process.pid)]:
        os.kill(pid, signal.SIGKILL)
    process.wait()


def assert_same(one: Path, other: Path, names: Sequence[str]) -> None:
    """Compares weights byte by byte, histories but for the seconds, and which files there are."""
    assert project_runs.written(one).keys() == project_runs.written(other).keys()
    for name in names:
        weights = [(project / f"{MODELS}/{name}.safetensors").read_bytes() for project in (one, other)]
        assert weights[0] == weights[1], name
        rows = [pd.read_parquet(project / f"{TRAINING}/{name}_history.parquet") for project in (one, other)]
        pd.testing.assert_frame_equal(
            *(table.drop(columns="seconds") for table in rows), check_exact=True, obj=name
        )
        kept = [read_tensors(project / CHECKPOINTS / f"{name}.safetensors") for project in (one, other)]
        assert all(torch.equal(tensor, kept[1][key]) for key, tensor in kept[0].items())


@pytest.fixture
def projects(finished_run: Path, mlflow_database: Path, tmp_path: Path) -> tuple[Path, Path]:
    """Two copies of the finished project, without what evaluators and generator left."""
    copies = [
        project_runs.with_data_of(finished_run, tmp_path / n, mlflow_database) for n in ("one", "other")
    ]
    for project in copies:
        for path in [*(project / CHECKPOINTS).iterdir(), *(project / MODELS).glob("*external*")]:
            path.unlink()
    return copies[0], copies[1]


@pytest.mark.parametrize("start", [KEDRO, TORCHRUN], ids=["one process", "torchrun"])
def test_killed_evaluators_go_on_to_the_same_files(
    projects: tuple[Path, Path], start: tuple[str, ...]
) -> None:
    uninterrupted, killed = projects
    words = command(start, "evaluator_training")
    finish(uninterrupted, words)
    # The external evaluator has the head that the mining evaluator's trainings chose, so it comes last.
    kill(killed, words, "mining_evaluator", writes=1)
    kill(killed, words, "mining_evaluator", writes=9)
    kill(killed, words, "external_evaluator", writes=2)
    kill(killed, words, "external_evaluator", writes=4)
    said = finish(killed, words)

    assert "resumed finished training of 8 epochs" in said
    assert "resumed in epoch" in said
    assert_same(uninterrupted, killed, EVALUATORS)
    mined = [read_tensors(project / MINED_BY_EPOCH) for project in projects]
    assert len(mined[0]["sequences"]) == 8
    assert all(torch.equal(tensor, mined[1][name]) for name, tensor in mined[0].items())


def test_a_killed_generator_goes_on_to_the_same_files(projects: tuple[Path, Path]) -> None:
    uninterrupted, killed = projects
    words = command(KEDRO, "generator_distillation")
    finish(uninterrupted, words)
    kill(killed, words, "generator", writes=1)
    kill(killed, words, "generator", writes=5)
    said = finish(killed, words)

    assert "resumed in epoch" in said
    assert_same(uninterrupted, killed, ["generator"])


def test_other_settings_begin_anew(projects: tuple[Path, Path]) -> None:
    fresh, killed = projects
    kill(killed, command(KEDRO, "evaluator_training"), "external_evaluator", writes=3)
    other = command(KEDRO, "evaluator_training", f"{LONG},learning_rate=0.001")
    said = finish(killed, other)
    finish(fresh, other)

    assert "training.learning_rate was 0.002 and is 0.001" in said
    aside = list((killed / CHECKPOINTS).glob("*.set_aside.safetensors"))
    assert "external_evaluator.set_aside.safetensors" in {path.name for path in aside}
    for path in aside:
        path.unlink()
    assert_same(fresh, killed, EVALUATORS)
