"""Which versions served before a day; a day that is run again finds the same ones."""

from collections.abc import Iterator
from datetime import date, timedelta

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion

from degre_pipeline.release import ledger
from degre_pipeline.release.aliases import CHAMPION, PREVIOUS_CHAMPION, positions
from degre_pipeline.release.ledger import Entry
from degre_pipeline.release.versions import origin_of, version_or_none

SUPERIOR_TO = "gate_superior_to"
"""Tag of a version: the numbers of the versions that the gate found worse."""


def champions_before(model: str, run_date: str) -> list[ModelVersion]:
    """Returns the champions of earlier days, the last one first, each once.

    A day that is run again, after its own version or a later one became the champion, finds the same.

    Args:
        model: Name of the registered model.
        run_date: The day, as an ISO date.
    """
    return [one for one in champions(MlflowClient(), model) if _day(one, run_date) < run_date]


def first_champion_before(model: str, run_date: str) -> ModelVersion | None:
    """Returns the version that became champion first, of those of earlier days."""
    served = [version for _, version in _promotions(MlflowClient(), model)]
    return next((one for one in reversed(served) if _day(one, run_date) < run_date), None)


def champions(client: MlflowClient, model: str) -> list[ModelVersion]:
    """Returns the versions that became champion and that are still there, the last one first, each once."""
    return list({origin_of(version): version for _, version in _promotions(client, model)}.values())


def other_champion(client: MlflowClient, model: str, than: int | None) -> int | None:
    """Returns the last champion that is another version; None where the ledger knows none."""
    return next((int(one.version) for one in champions(client, model) if int(one.version) != than), None)


def opponent_of(client: MlflowClient, model: str, version: int) -> int | None:
    """Returns the version to compare another one with.

    It is the champion; for the champion itself the one before it; and where nothing is the champion, because
    its alias or version was taken away, the last one that the ledger knows.
    """
    now = positions(client, model)
    champion = now.get(CHAMPION)
    if champion == version:
        previous = now.get(PREVIOUS_CHAMPION)
        return other_champion(client, model, version) if previous in (None, version) else previous
    return other_champion(client, model, version) if champion is None else champion


def taken_down(client: MlflowClient, version: ModelVersion) -> Entry | None:
    """Returns the move by which a person last took a version down; None where it was put back since."""
    for entry in ledger.entries(client, version.name, CHAMPION):
        if entry.move.from_version == entry.move.to_version:
            continue
        if _is(entry.moved_to(client), version):
            return None
        if _is(entry.moved_from(client), version):
            return entry if entry.move.by in ("person", "elsewhere") else None
    return None


def best_champion_before(client: MlflowClient, version: ModelVersion, days: int) -> ModelVersion | None:
    """Returns the best champion of the days before a version's own day; None where there was none.

    It is the first of them, until the gate finds one better by every judge or a person chooses one. So
    champions that are each a little worse than the one before do not become the measure.

    Args:
        client: Of the registry.
        version: The new version.
        days: How far back.
    """
    today = version.tags.get("run_date")
    if not days or not today:
        return None
    earliest = (date.fromisoformat(today) - timedelta(days=days)).isoformat()
    best: ModelVersion | None = None
    for entry, served in reversed(_promotions(client, version.name)):
        if not earliest <= served.tags.get("run_date", today) < today:
            continue
        worse_versions = served.tags.get(SUPERIOR_TO, "").split(",")
        if best is None or entry.move.by != "gate" or best.version in worse_versions:
            best = served
    return best


def _promotions(client: MlflowClient, model: str) -> list[tuple[Entry, ModelVersion]]:
    """Returns the moves of the champion to versions that are still there, newest first."""
    return list(_resolved(client, ledger.entries(client, model, CHAMPION)))


def _resolved(client: MlflowClient, entries: list[Entry]) -> Iterator[tuple[Entry, ModelVersion]]:
    found: dict[tuple[int | None, str | None], ModelVersion | None] = {}
    for entry in entries:
        key = (entry.move.to_version, entry.move.to_origin)
        if key not in found:
            found[key] = version_or_none(client, entry.move.model, *key)
        version = found[key]
        if version is not None:
            yield entry, version


def _day(version: ModelVersion, otherwise: str) -> str:
    return str(version.tags.get("run_date", otherwise))


def _is(one: ModelVersion | None, other: ModelVersion) -> bool:
    return one is not None and origin_of(one) == origin_of(other) and one.version == other.version
