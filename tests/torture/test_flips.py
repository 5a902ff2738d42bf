"""One changed bit in a file between two pipelines, or of a registered version: noticed, or without effect."""

import random
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
import torch
from damage import one_bit_changed
from kedro.io import AbstractDataset, DatasetError
from tortured_runs import DAY, Finished, check_equal, check_registry, context_of_day, started

import project_runs
from degre_pipeline.cli import WRONG
from degre_pipeline.datasets.shards import LoadedShards
from degre_pipeline.hooks.catalog_files import dataset_file
from degre_pipeline.release.loaded_version import open_contender
from degre_pipeline.serving.model.served_files import files_of

FLIPS, SERVED_FLIPS = 200, 60
READ_AGAIN = ("mining", "generator_distillation", "evaluation", "gate")


@pytest.fixture(scope="module")
def project(finished: Finished, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished project that may be damaged."""
    folder = tmp_path_factory.mktemp("flips") / "project"
    return Path(shutil.copytree(finished.folder, folder))


def loaded(dataset: AbstractDataset[Any, Any]) -> Any:
    data = dataset.load()
    if isinstance(data, LoadedShards):
        return {(name, key): value for name in data.names for key, value in data.load(name).items()}
    return data


def same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, np.ndarray):
        return np.array_equal(one, other)
    if isinstance(one, pd.DataFrame):
        return one.equals(other) and list(one.dtypes) == list(other.dtypes)
    if hasattr(one, "weights"):
        return same(dict(one.weights), dict(other.weights)) and one.config == other.config
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(value, other[name]) for name, value in one.items())
    return bool(one == other)


def test_no_flipped_bit_in_the_catalog_is_read_as_if_it_were_right(
    project: Path, draw: random.Random, figures: Counter[str]
) -> None:
    with context_of_day(project) as context:
        stored = {name: dataset_file(context.catalog, name) for name in context.catalog}
        names = sorted(name for name, path in stored.items() if path is not None and path.exists())
        right = {name: loaded(context.catalog[name]) for name in names}
        silent = []
        for _ in range(FLIPS):
            name = draw.choice(names)
            files = [stored[name]] if stored[name].is_file() else sorted(stored[name].glob("*"))
            with one_bit_changed(draw.choice(files), draw) as what:
                try:
                    is_same = same(loaded(context.catalog[name]), right[name])
                except DatasetError:
                    figures["flipped bits in the catalog that were noticed"] += 1
                    continue
            figures["flipped bits in the catalog without effect"] += is_same
            silent += [] if is_same else [f"{name}: {what}"]
    assert silent == []


def test_no_version_with_a_flipped_bit_is_ranked_with(
    project: Path, tmp_path: Path, draw: random.Random, figures: Counter[str]
) -> None:
    with project_runs.opened(project):
        mlflow.set_tracking_uri(f"sqlite:///{project / 'mlflow.db'}")
        (logged,) = mlflow.search_logged_models(output_format="list")
        files = Path(logged.artifact_location.removeprefix("file://")) / "artifacts"
        refused = pytest.raises(ValueError, match=r"not the file that was registered|allowed")
        for number in range(SERVED_FLIPS):
            with one_bit_changed(files / draw.choice(files_of(logged.tags)), draw), refused:
                open_contender(logged, tmp_path / str(number))
        assert open_contender(logged, tmp_path / "whole").size_bytes > 0
    figures["flipped bits of a registered version that were noticed"] += SERVED_FLIPS


@pytest.mark.parametrize("pipeline", READ_AGAIN)
def test_a_run_that_reads_a_flipped_bit_ends_before_it_writes(
    pipeline: str, project: Path, finished: Finished, draw: random.Random, figures: Counter[str]
) -> None:
    models = ("mining_evaluator", "external_evaluator", "generator")
    path = {
        "mining": project / f"data/06_models/test/{DAY}/{models[0]}.safetensors",
        "generator_distillation": project / f"data/05_model_input/test/{DAY}/requests.safetensors",
        "evaluation": project / f"data/06_models/test/{DAY}/{draw.choice(models)}.safetensors",
        "gate": project / f"data/03_primary/test/{DAY}/lists.parquet",
    }[pipeline]
    before = project_runs.written(project)
    with one_bit_changed(path, draw) as what:
        code, said = started(project, DAY, f"--pipelines={pipeline}").end()
        assert code == WRONG, (what, said)
        assert path.name in said
    assert project_runs.written(project) == before
    code, said = started(project, DAY, f"--pipelines={pipeline}").end()
    assert code == 0, said
    check_equal(project, finished.written)
    check_registry(project)
    figures["runs that read a flipped bit, refused with 65"] += 1
