"""What nodes and hooks ask the model registry: where it is, and what its versions learned from."""

import mlflow
from mlflow import MlflowClient

from degre_pipeline.release.filters import quoted
from degre_pipeline.release.model_names import check_model_name
from degre_pipeline.release.versions import version_or_none

DATA_TAGS = ("source", "data")
"""Tags of a version that say what it was trained on: the source, and the name of its data."""


def registry_uri() -> str:
    """Returns where the MLflow of this run is, for another process."""
    return str(mlflow.get_tracking_uri())


def training_last_day(model: str, version: str) -> str | None:
    """Returns the ISO date of the last request that a version learned from; None where it is not recorded."""
    found = version_or_none(mlflow.MlflowClient(), model, int(version))
    return None if found is None else found.tags.get("training_last_day")


def check_registry(model: str, data: tuple[str, str]) -> None:
    """Raises ValueError unless a new version can be registered, and only beside versions of the same data.

    Args:
        model: Name of the registered model.
        data: What is trained on, by the names of `DATA_TAGS`.
    """
    check_model_name(model)
    client = MlflowClient()
    described = f"tags.{DATA_TAGS[0]} != ''"
    found = client.search_model_versions(
        f"name = {quoted(model)} and {described}", max_results=1, order_by=["version_number DESC"]
    )
    known = tuple(found[0].tags.get(tag, "") for tag in DATA_TAGS) if found else data
    if known != data:
        raise ValueError(
            f"registration.model_name is {model!r}, whose version {found[0].version} learned from other "
            f"data: source {known[0]!r}, data {known[1]!r}, now {data[0]!r} and {data[1]!r}; "
            "allowed: a name of its own for each data, in conf/<env>/parameters_registration.yml"
        )
