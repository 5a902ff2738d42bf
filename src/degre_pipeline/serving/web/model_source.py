"""Finds the version that carries an alias in MLflow's registry and fetches its files."""

import hashlib
import json
import os
import shutil
import threading
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import mlflow
from mlflow.exceptions import MlflowException

from degre_pipeline.serving.model.served_files import DIGESTS_TAG, check_digests, digests_of
from degre_pipeline.serving.model.served_model import fetch_files, logged_model
from degre_pipeline.serving.web.cache_folder import ARRIVING

# A service asks again soon, so a single question need not be patient; and its log is no terminal.
_FOR_A_SERVICE = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


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
        cache: Folder for fetched models, which is there.
    """

    def __init__(self, tracking_uri: str, name: str, cache: Path) -> None:
        for variable, value in _FOR_A_SERVICE.items():
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
        logged = logged_model(self._client, self._name, version)
        arriving = Path(mkdtemp(dir=self._cache, prefix=ARRIVING))
        try:
            folder = self._cache / fetch_files(logged, self._uri, arriving)
            with self._arrivals:
                if not folder.exists():
                    os.replace(arriving, folder)
        finally:
            shutil.rmtree(arriving, ignore_errors=True)
        check_digests(folder, logged.tags)
        return FetchedModel(version, folder)

    def remember(self, alias: str, fetched: FetchedModel, list_length: int) -> None:
        """Notes the version that an alias points at and that works, for a start where it cannot be had."""
        note = {
            "version": fetched.version,
            "list_length": list_length,
            "folder": fetched.folder.name,
            "sha256": digests_of(fetched.folder),
        }
        file = self._remembered(alias)
        written = file.with_suffix(".partial")
        written.write_text(json.dumps(note), encoding="utf-8")
        os.replace(written, file)

    def remembered(self, alias: str) -> FetchedModel | None:
        """Returns the version that `remember` noted last, if its files are still whole."""
        note = self._note(alias)
        if note is None:
            return None
        folder = self._cache / Path(note["folder"]).name
        check_digests(folder, {DIGESTS_TAG: note["sha256"]})
        return FetchedModel(note["version"], folder)

    def remembered_list_length(self, alias: str) -> int | None:
        """Returns the length of the lists of the version that `remember` noted last, where that is known."""
        try:
            return int((self._note(alias) or {})["list_length"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _note(self, alias: str) -> dict[str, Any] | None:
        file = self._remembered(alias)
        if not file.exists():
            return None
        note: dict[str, Any] = json.loads(file.read_text("utf-8"))
        return note

    def _remembered(self, alias: str) -> Path:
        """Returns the file of the note; two models or aliases do not share one."""
        key = hashlib.sha256("\0".join([self._name, alias]).encode()).hexdigest()[:16]
        return self._cache / f"last-good-{key}.json"


def says_there_is_none(error: Exception) -> bool:
    """Returns whether MLflow has answered, and the answer is that no version carries the alias."""
    answers = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
    return isinstance(error, MlflowException) and error.error_code in answers
