"""What a day's models may start from: the models of the champion that served before that day."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities.model_registry import ModelVersion
from safetensors import safe_open
from safetensors.torch import load_file

from degre_pipeline.datasets.model_dataset import ModelDataset
from degre_pipeline.judging import names
from degre_pipeline.release.served_before import champions_before
from degre_pipeline.reranker.features import NO_FEATURES, FeatureSpace
from degre_pipeline.reranker.models.stored_models import FROM_NOTHING, TrainedWeights
from degre_pipeline.reranker.schema import Field

logger = logging.getLogger(__name__)

FOLDER = "trained"
"""Folder of a version's models among the artifacts of its run."""
MODELS = (names.MINING_EVALUATOR, names.EXTERNAL_EVALUATOR, names.GENERATOR)
_FEATURE_SPACE, _CONFIG = "feature_space.json", "config"


@dataclass(frozen=True)
class StartingPoint:
    """The models that were trained for an earlier version.

    Attributes:
        feature_space: Without fields where there is no earlier version.
        models: By the names of `MODELS`.
    """

    feature_space: FeatureSpace = NO_FEATURES
    models: Mapping[str, TrainedWeights] = field(default_factory=lambda: dict.fromkeys(MODELS, FROM_NOTHING))


def start_of_day(
    model: str, run_date: str, *, fields: Sequence[Field], external_share: float, split_seed: int
) -> StartingPoint:
    """Returns the models of the champion before a day, or an empty start where they must not be used.

    They must not where the champion had other fields, or where requests were divided otherwise between the
    evaluators: the external evaluator would judge what its own requests had taught the mining evaluator.

    Args:
        model: Name of the registered model.
        run_date: The day, as an ISO date.
        fields: The fields that are declared now.
        external_share: Share of requests that the external evaluator learns from now.
        split_seed: Seed of that division now.
    Raises: MlflowException: If nothing was kept with the champion's run.
    """
    champions = champions_before(model, run_date)
    if not champions:
        logger.warning("no champion of %s before %s: its models start from nothing", model, run_date)
        return StartingPoint()
    version = champions[0]
    start = what_was_trained_for(version)
    division = (version.tags.get("external_share"), version.tags.get("split_seed"))
    if division != (str(external_share), str(split_seed)):
        reason = f"external_share and seed of its lists are {division}, now {external_share} and {split_seed}"
    elif start.feature_space.fields != tuple(fields):
        reason = "its fields are not those of list_building.fields"
    else:
        logger.info("models start from version %s of %s", version.version, version.tags["run_date"])
        return start
    logger.warning("models start from nothing, not from version %s: %s", version.version, reason)
    return StartingPoint()


def keep_for_later(client: MlflowClient, run_id: str, trained: StartingPoint) -> None:
    """Writes the models and the feature space of a version to its run."""
    with TemporaryDirectory() as folder:
        Path(folder, _FEATURE_SPACE).write_text(json.dumps(trained.feature_space.to_dict()), encoding="utf-8")
        for name, model in trained.models.items():
            ModelDataset(f"{folder}/{name}.safetensors").save(model)
        client.log_artifacts(run_id, folder, FOLDER)


def what_was_trained_for(version: ModelVersion) -> StartingPoint:
    """Returns what `keep_for_later` wrote.

    Raises: MlflowException: If nothing was kept with the version's run.
    """
    with TemporaryDirectory() as folder:
        kept = download_artifacts(artifact_uri=f"runs:/{version.run_id}/{FOLDER}", dst_path=folder)
        stored = json.loads(Path(kept, _FEATURE_SPACE).read_text(encoding="utf-8"))
        space = FeatureSpace.from_dict(stored)
        return StartingPoint(space, {name: _read(Path(kept, f"{name}.safetensors")) for name in MODELS})


def _read(path: Path) -> TrainedWeights:
    with safe_open(path, framework="pt") as file:
        header = file.metadata()
    if _CONFIG not in header:
        return ModelDataset(str(path)).load()
    # Versions that were registered before these files had hashes have the configuration in plain sight.
    return TrainedWeights(load_file(path), json.loads(header[_CONFIG]))
