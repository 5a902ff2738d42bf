"""The ledger of alias moves, kept in MLflow: an experiment with one run a move.

It tells and never stops: what cannot be read in it is left out with a warning, and a move that cannot be
written stands all the same.
"""

import getpass
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from tempfile import TemporaryDirectory
from typing import Literal, cast, get_args

from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from degre_pipeline.release.filters import quoted
from degre_pipeline.release.ledger_experiment import experiment_for, known_experiment
from degre_pipeline.release.versions import version_or_none

logger = logging.getLogger(__name__)

By = Literal["person", "gate", "registration", "elsewhere"]
"""Who moves aliases: `elsewhere` is a move that was found, such as one in the MLflow UI."""
REPORT = "gate"
"""Folder of the gate's report, among the artifacts of a version's run and of a move's run."""
_PAGE = 200


@dataclass(frozen=True)
class Move:
    """One move of an alias.

    Attributes:
        model: Name of the registered model.
        alias: What was moved.
        from_version: Where it was; None where it was not set.
        to_version: Where it is; None where it was taken away.
        from_origin: What tells that version from another one of its number; None where it is not known.
        to_origin: The same of the other version.
        by: A person, the gate, a registration, or somebody elsewhere.
        who: The person, or the pipeline and the person who ran it.
        why: The reason given.
        gate_outcome: Of the version it moved to: `promote`, `hold`, `refuse` or `not judged`.
        flagged: Whether a version serves that the gate did not pass.
    """

    model: str
    alias: str
    from_version: int | None
    to_version: int | None
    from_origin: str | None
    to_origin: str | None
    by: By
    who: str
    why: str
    gate_outcome: str
    flagged: bool


@dataclass(frozen=True)
class Entry:
    """A move as the ledger holds it.

    Attributes:
        move: What was moved.
        place: Among the entries of its model, which clocks of several machines could not order.
        when: It was written.
        run_id: Where; empty where it could not be written.
    """

    move: Move
    place: int
    when: datetime
    run_id: str

    def moved_to(self, client: MlflowClient) -> ModelVersion | None:
        """Returns the version that it moved to; None where that is gone."""
        return version_or_none(client, self.move.model, self.move.to_version, self.move.to_origin)

    def moved_from(self, client: MlflowClient) -> ModelVersion | None:
        """Returns the version that it moved away from; None where that is gone."""
        return version_or_none(client, self.move.model, self.move.from_version, self.move.from_origin)


def write(client: MlflowClient, move: Move) -> Entry:
    """Adds a move to the ledger, with the gate's report on the version it moved to, where there is one.

    A move that cannot be written is a warning: it was made, and the next look finds it.
    """
    known = entries(client, move.model)
    place = known[0].place + 1 if known else 1
    try:
        return _written(client, move, place)
    except Exception as error:  # whatever is wrong with the ledger
        logger.warning("the move of %s is not in the ledger: %s", move.alias, _first_line(error))
        return Entry(move, place, datetime.now(UTC), "")


def entries(client: MlflowClient, model: str, alias: str | None = None) -> list[Entry]:
    """Returns the moves of a model's aliases, or of one alias, newest first."""
    try:
        runs = _runs(client, model, alias)
    except Exception as error:  # whatever is wrong with it: a way back must not depend on the ledger
        logger.warning("the ledger cannot be read: %s", _first_line(error))
        return []
    read = [entry for entry in map(_entry_or_none, runs) if entry is not None]
    return sorted(read, key=lambda entry: (entry.place, entry.when), reverse=True)


def last(client: MlflowClient, model: str, alias: str) -> Move | None:
    """Returns the last move of an alias that the ledger knows."""
    known = entries(client, model, alias)
    return known[0].move if known else None


def user() -> str:
    """Returns who runs this process, as far as the system knows."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def _written(client: MlflowClient, move: Move, place: int) -> Entry:
    version = version_or_none(client, move.model, move.to_version)
    run = client.create_run(
        experiment_for(client, version),
        tags={"place": str(place), **{name: _shown(value) for name, value in vars(move).items()}},
        run_name=f"{move.model}: {move.alias} to {_shown(move.to_version)}",
    )
    if version is not None and "gate_outcome" in version.tags:
        kept = _copy_report(client, version, run.info.run_id)
        client.set_tag(run.info.run_id, "gate_report", "kept" if kept else "missing")
    client.set_terminated(run.info.run_id)
    return _entry(run)


def _copy_report(client: MlflowClient, version: ModelVersion, run_id: str) -> bool:
    """Copies the report and returns whether it could: a way back must not depend on a lost file."""
    try:
        with TemporaryDirectory() as folder:
            copy = download_artifacts(artifact_uri=f"runs:/{version.run_id}/{REPORT}", dst_path=folder)
            client.log_artifacts(run_id, copy, REPORT)
    except (MlflowException, OSError):
        return False
    return True


def _runs(client: MlflowClient, model: str, alias: str | None) -> list[Run]:
    experiment = known_experiment(client)
    if experiment is None:
        return []
    wanted = f"tags.model = {quoted(model)}" + (f" and tags.alias = {quoted(alias)}" if alias else "")
    found: list[Run] = []
    token = None
    while True:
        page = client.search_runs([experiment], wanted, max_results=_PAGE, page_token=token)
        found += page
        token = page.token
        if not token:
            return found


def _entry_or_none(run: Run) -> Entry | None:
    try:
        return _entry(run)
    except (KeyError, ValueError) as error:
        logger.warning("entry %s of the ledger is left out, it cannot be read: %r", run.info.run_id, error)
        return None


def _entry(run: Run) -> Entry:
    tags = run.data.tags
    move = Move(
        model=tags["model"],
        alias=tags["alias"],
        from_version=_number(tags["from_version"]),
        to_version=_number(tags["to_version"]),
        from_origin=_text(tags.get("from_origin")),
        to_origin=_text(tags.get("to_origin")),
        by=_by(tags.get("by"), tags["who"]),
        who=tags["who"],
        why=tags["why"],
        gate_outcome=tags["gate_outcome"],
        flagged=tags["flagged"] == "true",
    )
    when = datetime.fromtimestamp(run.info.start_time / 1000, UTC)
    return Entry(move, int(tags.get("place", 0)), when, run.info.run_id)


def _by(tag: str | None, who: str) -> By:
    """Returns who moved; entries that do not say it begin with it, or are a person's."""
    if tag in get_args(By):
        return cast(By, tag)
    word = who.partition(",")[0]
    earlier: dict[str, By] = {"gate": "gate", "registration": "registration", "unknown": "elsewhere"}
    return earlier.get(word, "person")


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def _shown(value: object) -> str:
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _number(text: str) -> int | None:
    return None if text == "none" else int(text)


def _text(tag: str | None) -> str | None:
    return None if tag == "none" else tag
