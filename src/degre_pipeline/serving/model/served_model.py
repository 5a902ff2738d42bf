"""The files of a registered version, fetched and checked, and the model they make: what a service runs."""

import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts, list_artifacts
from mlflow.entities import LoggedModel

from degre_pipeline.reranker.features import FeatureSpace
from degre_pipeline.serving.model.ranking_model import RankingModel, load_ranking_model
from degre_pipeline.serving.model.request_schema import RequestSchema
from degre_pipeline.serving.model.reranking_model import Decoder, Reranker
from degre_pipeline.serving.model.served_files import (
    EXAMPLE,
    FEATURE_SPACE,
    RANKING_FILES,
    check_digests,
    check_size,
    files_of,
)
from degre_pipeline.serving.model.stored_example import StoredExample

LOGGED = "models:/"
"""A version made of a logged model has its id as its source."""


@dataclass(frozen=True)
class ServedModel:
    """A model that has proven itself on its stored example.

    Attributes:
        reranker: Orders requests.
        space: The feature space.
        example: The stored example.
    """

    reranker: Reranker
    space: FeatureSpace
    example: StoredExample

    @property
    def schema(self) -> RequestSchema:
        """Checks requests."""
        return self.reranker.schema


def logged_model(client: MlflowClient, name: str, version: str) -> LoggedModel:
    """Returns the logged model behind a version; its tags tell the digests of the files.

    Raises: ValueError: If the version was made of something else.
    """
    source = str(client.get_model_version(name, version).source)
    if not source.startswith(LOGGED):
        raise ValueError(f"version {version} of {name} comes from {source!r}; allowed: {LOGGED}…")
    return client.get_logged_model(source.removeprefix(LOGGED))


def fetch_files(logged: LoggedModel, tracking_uri: str, folder: Path) -> str:
    """Downloads the served files of a logged model into a folder and checks them.

    Returns: A short name of their content.
    Raises: ValueError: If a file is not the one that was registered, or is too large to be downloaded.
    """
    names, place = files_of(logged.tags), f"{logged.artifact_location}/artifacts"
    for file in list_artifacts(artifact_uri=place, tracking_uri=tracking_uri):
        name = PurePosixPath(file.path).name
        if name in names:
            check_size(name, file.file_size or 0)
    for name in names:
        download_artifacts(artifact_uri=f"{place}/{name}", dst_path=str(folder), tracking_uri=tracking_uri)
    return check_digests(folder, logged.tags)


def proven(runner: Decoder, folder: Path) -> ServedModel:
    """Returns the model of a folder's files with one runner. Raises: ValueError: If it ranks otherwise."""
    space = FeatureSpace.from_dict(json.loads((folder / FEATURE_SPACE).read_text("utf-8")))
    example = StoredExample.read(folder / EXAMPLE)
    reranker = Reranker(runner, space, ranking=_ranking_model(folder))
    example.check(reranker)
    return ServedModel(reranker, space, example)


def _ranking_model(folder: Path) -> RankingModel | None:
    """Returns the model that scores candidates without a score; None where the version has none."""
    program, space = (folder / name for name in RANKING_FILES)
    return load_ranking_model(program, space) if program.is_file() else None
