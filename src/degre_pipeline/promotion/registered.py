"""What others need to know of the registry that this run works with."""

import mlflow

from degre_pipeline.promotion.ledger import version_or_none


def registry_uri() -> str:
    """Returns where the MLflow of this run is, for another process."""
    return str(mlflow.get_tracking_uri())


def training_last_day(model: str, version: str) -> str | None:
    """Returns the ISO date of the last request that a version learned from; None where it is not recorded."""
    found = version_or_none(mlflow.MlflowClient(), model, int(version))
    return None if found is None else found.tags.get("training_last_day")
