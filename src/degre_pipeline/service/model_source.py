"""Finds the version that carries an alias in MLflow's registry and fetches its files."""

import os
import shutil
import threading
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

import mlflow
from mlflow.artifacts import download_artifacts

from degre_pipeline.serving.served_files import FILES, check_digests

LOGGED = "models:/"
"""A version made of a logged model has its id as its source."""
# A service asks again soon, so a single question need not be patient. Set before MLflow asks anything.
_IMPATIENT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}


@dataclass(frozen=True)
class FetchedModel:
    """The checked files of a version.

    Attributes:
        version: In the registry.
        folder: Holds the files, and beside them what is prepared from them; named after their content.
    """

    version: str
    folder: Path


class ModelSource:
    """A registered model.

    Args:
        tracking_uri: Of MLflow.
        name: Of the registered model.
        cache: Folder for fetched models.
    """

    def __init__(self, tracking_uri: str, name: str, cache: Path) -> None:
        for variable, value in _IMPATIENT.items():
            os.environ.setdefault(variable, value)
        self._uri, self._name, self._cache = tracking_uri, name, cache
        self._client = mlflow.MlflowClient(tracking_uri)
        self._arrivals = threading.Lock()

    def version_of(self, alias: str) -> str:
        """Returns the version that carries an alias. Raises: MlflowException: If none does, or no answer."""
        return str(self._client.get_model_version_by_alias(self._name, alias).version)

    def fetch(self, version: str) -> FetchedModel:
        """Downloads a version's files, unless they are there, and checks them.

        Raises: ValueError: If a file is not the one that was registered.
        """
        source = str(self._client.get_model_version(self._name, version).source)
        if not source.startswith(LOGGED):
            raise ValueError(f"version {version} of {self._name} comes from {source!r}; allowed: {LOGGED}…")
        logged = self._client.get_logged_model(source.removeprefix(LOGGED))
        self._cache.mkdir(parents=True, exist_ok=True, mode=0o700)
        arriving = Path(mkdtemp(dir=self._cache, prefix=".arriving-"))
        try:
            for name in FILES:
                uri = f"{logged.artifact_location}/artifacts/{name}"
                download_artifacts(artifact_uri=uri, dst_path=str(arriving), tracking_uri=self._uri)
            folder = self._cache / check_digests(arriving, logged.tags)
            with self._arrivals:
                if not folder.exists():
                    os.replace(arriving, folder)
        finally:
            shutil.rmtree(arriving, ignore_errors=True)
        check_digests(folder, logged.tags)
        return FetchedModel(version, folder)
