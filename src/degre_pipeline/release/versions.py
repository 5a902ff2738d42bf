"""Versions by their origin: a number is used again where a registered model is deleted and made anew."""

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

NOT_JUDGED = "not judged"


def version_or_none(
    client: MlflowClient, model: str, version: int | None, origin: str | None = None
) -> ModelVersion | None:
    """Returns a version; None for none, for one that was deleted, and for another one of that number.

    Args:
        client: Of the registry.
        model: Name of the registered model.
        version: Its number.
        origin: What `origin_of` said of it; None where that is not known.
    """
    if version is None:
        return None
    try:
        found = client.get_model_version(model, str(version))
    except MlflowException:
        return None
    return found if origin in (None, origin_of(found)) else None


def outcome_of(version: ModelVersion | None) -> str:
    """Returns what the gate said of a version: `promote`, `hold`, `refuse` or `not judged`."""
    return str(version.tags.get("gate_outcome", NOT_JUDGED)) if version is not None else NOT_JUDGED


def origin_of(version: ModelVersion) -> str:
    """Returns what tells a version from another one of its number: its run and its logged model."""
    return f"{version.run_id or 'no run'} {version.source}"
