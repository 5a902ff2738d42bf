"""Versions by their origin: a number is used again where a registered model is deleted and made anew."""

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

NOT_JUDGED = "not judged"
REFIT_OF, REFIT_OF_ORIGIN = "refit_of", "refit_of_origin"
"""Tags of a version that was trained on the whole log: the version whose training it repeats."""


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


def judged_twin(client: MlflowClient, version: ModelVersion) -> ModelVersion:
    """Returns the version that the gate judged for one that was trained on the whole log; else the version.

    The two are trained in the same way, but the twin left requests out, as all versions do that the gate
    judges.
    """
    number = version.tags.get(REFIT_OF)
    twin = version_or_none(
        client, version.name, None if number is None else int(number), version.tags.get(REFIT_OF_ORIGIN)
    )
    return version if twin is None else twin


def outcome_of(version: ModelVersion | None) -> str:
    """Returns what the gate said of a version: `promote`, `hold`, `refuse` or `not judged`."""
    return str(version.tags.get("gate_outcome", NOT_JUDGED)) if version is not None else NOT_JUDGED


def origin_of(version: ModelVersion) -> str:
    """Returns what tells a version from another one of its number: its run and its logged model."""
    return f"{version.run_id or 'no run'} {version.source}"
