"""The version of a run date, and whether somebody has to decide on it: what a scheduler asks."""

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion

from degre_pipeline.release.aliases import CHALLENGER, CHAMPION, positions
from degre_pipeline.release.filters import quoted
from degre_pipeline.release.promotion import LET_THROUGH
from degre_pipeline.release.versions import outcome_of, version_or_none

ASKED_IN = "asked_in"
"""Tag of a version: the run of a workflow in which a person was asked about it."""


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


def serves(client: MlflowClient, model: str, version: ModelVersion) -> bool:
    """Returns whether a version is the champion."""
    return positions(client, model).get(CHAMPION) == int(version.version)


def waits(client: MlflowClient, model: str, version: ModelVersion) -> bool:
    """Returns whether a version waits for a person: the gate let it through, and it may still serve."""
    if serves(client, model, version) or outcome_of(version) not in LET_THROUGH:
        return False
    champion = version_or_none(client, model, positions(client, model).get(CHAMPION))
    return champion is None or champion.tags.get("run_date", "") <= version.tags.get("run_date", "")


def ask_about(client: MlflowClient, version: ModelVersion, workflow_run: str) -> None:
    """Notes at a version that a person is asked about it in a run of a workflow; nothing outside of one."""
    if workflow_run:
        client.set_model_version_tag(version.name, version.version, ASKED_IN, workflow_run)


def check_asked(version: ModelVersion, workflow_run: str) -> None:
    """Raises ValueError if a person was asked about another version of the day in this run of a workflow.

    A day that was run again meanwhile has another version, which nobody has looked at.
    """
    if workflow_run and version.tags.get(ASKED_IN) != workflow_run:
        raise ValueError(
            f"version {version.version} is that of {version.tags.get('run_date')} now, and nobody was asked "
            f"about it in {workflow_run!r}; allowed: the version that was waiting. "
            "To ask again, clear the task that asks"
        )
