"""A registry with models of a small world, and a service that follows it."""

import contextlib
import shutil
import sqlite3
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import mlflow
import pytest
import service_process
from small_models import NAME, REQUESTS, register

from degre_pipeline.serving.model.signature import as_record

LOCATIONS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "storage_location"),
)
"""Columns of MLflow's database that hold places of files."""


@dataclass
class Registry:
    """A database with versions 1 and 2, of which 1 is champion."""

    folder: Path
    uri: str

    @property
    def client(self) -> mlflow.MlflowClient:
        return mlflow.MlflowClient(self.uri)

    def promote(self, version: str, alias: str = "champion") -> None:
        self.client.set_registered_model_alias(NAME, alias, version)

    def artifact(self, version: str, name: str) -> Path:
        """The stored file of a version."""
        source = self.client.get_model_version(NAME, version).source
        location = self.client.get_logged_model(source.removeprefix("models:/")).artifact_location
        return Path(location.removeprefix("file://")) / "artifacts" / name


@pytest.fixture(scope="session")
def body() -> dict:
    return as_record(REQUESTS[0])


@pytest.fixture(scope="session")
def registered(tmp_path_factory, mlflow_database) -> Path:
    """The folder of a registry that is only copied; registering takes seconds."""
    folder, uri, path = tmp_path_factory.mktemp("registered"), mlflow.get_tracking_uri(), list(sys.path)
    made = Registry(folder, f"sqlite:///{folder / 'mlflow.db'}")
    shutil.copy(mlflow_database, folder / "mlflow.db")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The ``noload`` loader strategy")  # sqlalchemy, used by mlflow
        mlflow.set_tracking_uri(made.uri)
        experiment = mlflow.create_experiment("service", (folder / "artifacts").as_uri())
        mlflow.set_experiment(experiment_id=experiment)
        for seed in (0, 1):
            register(seed)
        made.promote("1")
    mlflow.set_tracking_uri(uri)
    sys.path[:] = path
    return folder


@pytest.fixture
def registry(tmp_path, registered) -> Registry:
    return copied(registered, tmp_path / "registry")


@pytest.fixture(scope="module")
def shared_registry(tmp_path_factory, registered) -> Registry:
    return copied(registered, tmp_path_factory.mktemp("shared") / "registry")


def copied(original: Path, folder: Path) -> Registry:
    """A copy whose database points at the copied files."""
    shutil.copytree(original, folder)
    with contextlib.closing(sqlite3.connect(folder / "mlflow.db")) as database, database:
        for table, column in LOCATIONS:
            statement = f"update {table} set {column} = replace({column}, ?, ?)"
            database.execute(statement, (original.as_uri(), folder.as_uri()))
    return Registry(folder, f"sqlite:///{folder / 'mlflow.db'}")


@pytest.fixture(scope="module")
def running(shared_registry, tmp_path_factory) -> Iterator[service_process.Client]:
    """A service with version 1, without anything prepared."""
    folder = tmp_path_factory.mktemp("service")
    with service_process.service(
        shared_registry.uri, folder, "--runner", "eager", "--deadline-ms", "2000"
    ) as client:
        service_process.ready(client)
        yield client
