"""The version of a run date, and whether somebody has to decide on it: what a scheduler asks."""

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion

from degre_pipeline.promotion.aliases import CHALLENGER, CHAMPION, positions
from degre_pipeline.promotion.champion import LET_THROUGH
from degre_pipeline.promotion.filters import quoted
from degre_pipeline.promotion.ledger import NOT_JUDGED, version_or_none


def version_of_day(client: MlflowClient, model: str, run_date: str) -> ModelVersion:
    """Returns the version of a run date: the challenger if it is of that day, otherwise the newest one.

    Raises: ValueError: If no version is of that day.
    """
    challenger = version_or_none(client, model, positions(client, model).get(CHALLENGER))
    if challenger is not None and challenger.tags.get("run_date") == run_date:
        return challenger
    found = client.search_model_versions(f"name = {quoted(model)} and tags.run_date = {quoted(run_date)}")
    if not found:
        raise ValueError(
            f"run_date is {run_date!r}, of which {model!r} has no version; "
            "allowed: a day whose model is registered"
        )
    return max(found, key=lambda version: int(version.version))


def outcome_of(version: ModelVersion) -> str:
    """Returns what the gate said of a version."""
    return str(version.tags.get("gate_outcome", NOT_JUDGED))


def serves(client: MlflowClient, model: str, version: ModelVersion) -> bool:
    """Returns whether a version is the champion."""
    return positions(client, model).get(CHAMPION) == int(version.version)


def waits(client: MlflowClient, model: str, version: ModelVersion) -> bool:
    """Returns whether a version waits for a person: the gate let it through, and it may still serve."""
    if serves(client, model, version) or outcome_of(version) not in LET_THROUGH:
        return False
    champion = version_or_none(client, model, positions(client, model).get(CHAMPION))
    return champion is None or champion.tags.get("run_date", "") <= version.tags.get("run_date", "")
