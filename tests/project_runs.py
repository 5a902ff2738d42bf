"""Runs of this project in throw-away copies of it, each with an MLflow database of its own."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mlflow
import pandas as pd
import pytest
import torch
from kedro.framework import project as kedro_project
from kedro.framework.context import KedroContext
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from mlflow.entities import Run

SOURCE = Path(__file__).resolve().parents[1]
COPIED = ("conf", "pyproject.toml", ".gitignore", ".telemetry")
PIPELINES = (
    "ingestion",
    "list_building",
    "evaluator_training",
    "mining",
    "generator_distillation",
    "evaluation",
    "registration",
    "gate",
)
"""In the order of the data."""
ON_REQUEST = ("living_shop", "online_experiment", "refit", "truth_study")
"""Not part of `kedro run`."""


def lay_out(folder: Path, database: Path) -> Path:
    """Returns a new project without data: this one's configuration, its code as imported, a database."""
    (folder / "src").mkdir(parents=True)
    for name in COPIED:
        copy = shutil.copytree if (SOURCE / name).is_dir() else shutil.copy
        copy(SOURCE / name, folder / name)
    shutil.copy(database, folder / "mlflow.db")
    return folder.resolve()


def with_data_of(finished: Path, folder: Path, database: Path) -> Path:
    """Returns a new project that holds the data of a finished one."""
    project = lay_out(folder, database)
    shutil.copytree(finished / "data", project / "data")
    return project


def commit(project: Path) -> str:
    """Makes the project a git repository of one commit and returns its hash."""
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    for command in (["init"], ["add", "."], [*identity, "commit", "-m", "first"]):
        subprocess.run(["git", "-C", project, *command], check=True, capture_output=True)
    said = subprocess.run(["git", "-C", project, "rev-parse", "HEAD"], check=True, capture_output=True)
    return said.stdout.decode().strip()


@contextmanager
def opened(project: Path) -> Iterator[None]:
    """Starts in an empty folder elsewhere, and puts back what Kedro and MLflow keep for the process."""
    path, uri, package = list(sys.path), mlflow.get_tracking_uri(), kedro_project.PACKAGE_NAME
    with TemporaryDirectory() as elsewhere, pytest.MonkeyPatch.context() as patch:
        patch.chdir(elsewhere)
        for variable in ("MLFLOW_TRACKING_URI", "KEDRO_ENV"):
            patch.delenv(variable, raising=False)
        bootstrap_project(project)
        try:
            yield
            assert mlflow.active_run() is None, "the run is still open"
            assert not list(Path(elsewhere).iterdir()), "something was written into the working directory"
        finally:
            mlflow.end_run("FAILED")  # an interrupted one, which otherwise ends with the process
            sys.path[:] = path
            mlflow.set_tracking_uri(uri)
            if package not in (None, "degre_pipeline"):
                kedro_project.configure_project(package)


def run(
    project: Path, pipeline: str | None = None, env: str = "test", parameters: dict[str, Any] | None = None
) -> None:
    """Does what `kedro run` does, or `kedro run --pipelines=…`; parameters are named with dots."""
    with (
        opened(project),
        KedroSession.create(project, env=env, runtime_params=_nested(parameters or {})) as session,
    ):
        session.run(pipeline_names=[pipeline] if pipeline else None)


@contextmanager
def context(project: Path, env: str = "test") -> Iterator[KedroContext]:
    """Opens the project without running anything."""
    with opened(project), KedroSession.create(project, env=env) as session:
        yield session.load_context()


def load(project: Path, dataset: str, env: str = "test") -> Any:
    """Returns what the project's catalog holds under a name."""
    with context(project, env) as opened_context:
        return opened_context.catalog.load(dataset)


def kedro(project: Path, *words: str, env: str = "test") -> subprocess.CompletedProcess[str]:
    """Runs the command `kedro …` in the project's folder."""
    command = [str(Path(sys.executable).with_name("kedro")), *words]
    variables = {**os.environ, "KEDRO_ENV": env, "PYTHONPATH": str(SOURCE / "src"), "DO_NOT_TRACK": "true"}
    variables.pop("MLFLOW_TRACKING_URI", None)
    return subprocess.run(command, cwd=project, env=variables, capture_output=True, text=True, check=False)


def client(project: Path) -> mlflow.MlflowClient:
    """Returns a client of the project's MLflow database."""
    return mlflow.MlflowClient(f"sqlite:///{project / 'mlflow.db'}")


def runs(project: Path) -> list[Run]:
    """Returns the MLflow runs of the project's pipelines, newest first."""
    experiments = client(project).search_experiments(filter_string="name != 'degre_promotions'")
    ids = [experiment.experiment_id for experiment in experiments]
    found: list[Run] = client(project).search_runs(ids, order_by=["attributes.start_time DESC"])
    return found


def artifacts(project: Path, found: Run, folder: str | None = None) -> set[str]:
    """Returns the names of a run's artifacts in one folder."""
    return {Path(one.path).name for one in client(project).list_artifacts(found.info.run_id, folder)}


FACTS = re.compile(rb'<p class="meta facts">.*?</p>', flags=re.DOTALL)
"""What a page says of the run that made it: no two runs have the same time."""


def written(project: Path) -> dict[str, bytes]:
    """Returns the files under data/ by path, without pages about the checks and hashes of other files.

    Pages come without what they say of their run.
    """
    files = (path for path in (project / "data").rglob("*") if path.is_file())
    kept = (path for path in files if "data_docs" not in path.parts and path.suffix != ".sha256")
    return {
        str(path.relative_to(project)): FACTS.sub(b"", path.read_bytes())
        if path.suffix == ".html"
        else path.read_bytes()
        for path in kept
    }


def write_movielens(folder: Path, users: int = 40, movies: int = 60, ratings_of_user: int = 30) -> None:
    """Writes made-up files in MovieLens' format."""
    draw = torch.Generator().manual_seed(0)
    folder.mkdir(parents=True)
    genres = ("Drama", "Comedy|Drama", "Noir", "Comedy")
    ratings = [
        f"{user}::{movie + 1}::{int(torch.randint(1, 6, (), generator=draw))}::{1000 * user + place}\n"
        for user in range(1, users + 1)
        for place, movie in enumerate(torch.randperm(movies, generator=draw)[:ratings_of_user].tolist())
    ]
    lines = {
        "ratings.dat": ratings,
        "users.dat": [f"{n}::{'FM'[n % 2]}::{25 + n % 3}::{n % 5}::00000\n" for n in range(1, users + 1)],
        "movies.dat": [f"{n}::Film {n} ({1930 + n})::{genres[n % 4]}\n" for n in range(1, movies + 1)],
    }
    for name, content in lines.items():
        (folder / name).write_text("".join(content), "latin-1")


def request_log(project: Path) -> dict[str, pd.DataFrame]:
    """Returns the request-log tables of a finished project."""
    names = ("requests", "candidates", "exposures", "users", "items")
    return {name: pd.read_parquet(project / f"data/02_intermediate/test/{name}.parquet") for name in names}


def own_log(project: Path, tables: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    """Writes request-log tables as a log of one's own and returns the parameters that read it."""
    folder = project / "own"
    folder.mkdir()
    for name, table in tables.items():
        derived = {"exposures": ["candidate_index"], "candidates": ["ranking_rank"]}.get(name, [])
        table.drop(columns=derived).to_csv(folder / f"{name}.csv", index=False)
    return {
        "ingestion.source": "request_log_files",
        "ingestion.request_log_files.folder": str(folder),
        "ingestion.request_log_files.format": "csv",
    }


def _nested(parameters: dict[str, Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for name, value in parameters.items():
        *sections, leaf = name.split(".")
        place = nested
        for section in sections:
            place = place.setdefault(section, {})
        place[leaf] = value
    return nested
