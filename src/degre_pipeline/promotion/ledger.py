"""The ledger of alias moves, kept in MLflow: an experiment with one run a move."""

import getpass
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from tempfile import TemporaryDirectory

from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from degre_pipeline.promotion.filters import quoted

EXPERIMENT = "degre_promotions"
REPORT = "gate"
"""Folder of the gate's report, among the artifacts of a version's run and of a move's run."""
NOT_JUDGED = "not judged"
_PAGE = 200


@dataclass(frozen=True)
class Move:
    """One move of an alias.

    Attributes:
        model: Name of the registered model.
        alias: What was moved.
        from_version: Where it was; None where it was not set.
        to_version: Where it is; None where it was taken away.
        who: A person, or the pipeline and the person who ran it.
        why: The reason given.
        gate_outcome: Of the version it moved to: `promote`, `hold`, `refuse` or `not judged`.
        flagged: Whether a version serves that the gate did not pass.
    """

    model: str
    alias: str
    from_version: int | None
    to_version: int | None
    who: str
    why: str
    gate_outcome: str
    flagged: bool


@dataclass(frozen=True)
class Entry:
    """A move as the ledger holds it, with the time at which it was written and its run."""

    move: Move
    when: datetime
    run_id: str


def write(client: MlflowClient, move: Move) -> Entry:
    """Adds a move to the ledger, with the gate's report on the version it moved to, where there is one."""
    version = version_or_none(client, move.model, move.to_version)
    run = client.create_run(
        _experiment(client, version),
        tags={name: _shown(value) for name, value in vars(move).items()},
        run_name=f"{move.model}: {move.alias} to {_shown(move.to_version)}",
    )
    if version is not None and "gate_outcome" in version.tags:
        kept = _copy_report(client, version, run.info.run_id)
        client.set_tag(run.info.run_id, "gate_report", "kept" if kept else "missing")
    client.set_terminated(run.info.run_id)
    return _entry(run)


def entries(client: MlflowClient, model: str, alias: str | None = None) -> list[Entry]:
    """Returns the moves of a model's aliases, or of one alias, newest first."""
    experiment = client.get_experiment_by_name(EXPERIMENT)
    if experiment is None:
        return []
    wanted = f"tags.model = {quoted(model)}" + (f" and tags.alias = {quoted(alias)}" if alias else "")
    found: list[Run] = []
    token = None
    while True:
        page = client.search_runs(
            [experiment.experiment_id],
            wanted,
            max_results=_PAGE,
            order_by=["attributes.start_time DESC"],
            page_token=token,
        )
        found += page
        token = page.token
        if not token:
            return [_entry(run) for run in found]


def last(client: MlflowClient, model: str, alias: str) -> Move | None:
    """Returns the last move of an alias that the ledger knows."""
    known: Sequence[Entry] = entries(client, model, alias)
    return known[0].move if known else None


def user() -> str:
    """Returns who runs this process, as far as the system knows."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def version_or_none(client: MlflowClient, model: str, version: int | None) -> ModelVersion | None:
    """Returns a version; None for none, and for one that was deleted."""
    if version is None:
        return None
    try:
        return client.get_model_version(model, str(version))
    except MlflowException:
        return None


def _experiment(client: MlflowClient, version: ModelVersion | None) -> str:
    """Returns the id of the ledger; a new one keeps its artifacts where the version's experiment does."""
    known = client.get_experiment_by_name(EXPERIMENT)
    if known is not None:
        return str(known.experiment_id)
    location = None
    if version is not None and version.run_id:
        beside = client.get_experiment(client.get_run(version.run_id).info.experiment_id).artifact_location
        location = None if beside.startswith("mlflow-artifacts:") else beside
    return str(client.create_experiment(EXPERIMENT, artifact_location=location))


def _copy_report(client: MlflowClient, version: ModelVersion, run_id: str) -> bool:
    """Copies the report and returns whether it could: a way back must not depend on a lost file."""
    try:
        with TemporaryDirectory() as folder:
            copy = download_artifacts(artifact_uri=f"runs:/{version.run_id}/{REPORT}", dst_path=folder)
            client.log_artifacts(run_id, copy, REPORT)
    except (MlflowException, OSError):
        return False
    return True


def _entry(run: Run) -> Entry:
    tags = run.data.tags
    move = Move(
        model=tags["model"],
        alias=tags["alias"],
        from_version=_number(tags["from_version"]),
        to_version=_number(tags["to_version"]),
        who=tags["who"],
        why=tags["why"],
        gate_outcome=tags["gate_outcome"],
        flagged=tags["flagged"] == "true",
    )
    return Entry(move, datetime.fromtimestamp(run.info.start_time / 1000, UTC), run.info.run_id)


def _shown(value: object) -> str:
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _number(text: str) -> int | None:
    return None if text == "none" else int(text)
