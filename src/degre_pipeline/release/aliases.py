"""Reads the three aliases, moves them, and notices moves that were made elsewhere."""

import time

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from degre_pipeline.release import ledger
from degre_pipeline.release.filters import quoted
from degre_pipeline.release.ledger import By, Entry, Move
from degre_pipeline.release.turns import in_turn
from degre_pipeline.release.versions import origin_of, outcome_of, version_or_none

CHALLENGER, CHAMPION, PREVIOUS_CHAMPION = "challenger", "champion", "previous_champion"
ALIASES = (CHALLENGER, CHAMPION, PREVIOUS_CHAMPION)
ELSEWHERE = "unknown"
"""Who moved an alias that was found in another place than the ledger says."""
PASSED = "promote"
_TRIES, _PAUSE_SECONDS = 3, 0.2


def positions(client: MlflowClient, model: str) -> dict[str, int]:
    """Returns the version of every alias that is set; none where there is no such model."""
    found = client.search_registered_models(f"name = {quoted(model)}")
    aliases = found[0].aliases if found else {}
    return {alias: int(aliases[alias]) for alias in ALIASES if alias in aliases}


def move(
    client: MlflowClient, model: str, alias: str, to: int, *, by: By, who: str, why: str
) -> Entry | None:
    """Moves an alias to a version and writes it down; does nothing where it is there already."""
    with in_turn(client):
        before = positions(client, model).get(alias)
        if before == to:
            return None
        point(client, model, alias, to)
        return write_down(client, model, alias, before, to, by=by, who=who, why=why)


def point(client: MlflowClient, model: str, alias: str, to: int) -> None:
    """Makes an alias point at a version, and looks whether it does.

    Two machines that set the same alias at once may fail each other, so it is tried again.

    Raises: ValueError: If it points elsewhere afterwards, because somebody else moved it at the same time.
    """
    for left in reversed(range(_TRIES)):
        try:
            client.set_registered_model_alias(model, alias, str(to))
            break
        except MlflowException:
            if not left:
                raise
            time.sleep(_PAUSE_SECONDS)
    found = positions(client, model).get(alias)
    if found != to:
        raise ValueError(
            f"{alias} of {model!r} is {found}, moved by somebody else at the same time; "
            f"allowed: {to}, as asked"
        )


def notice(client: MlflowClient, model: str) -> list[Entry]:
    """Writes every alias to the ledger that is not where the ledger last saw it, and returns the entries.

    A champion that was moved elsewhere leaves its earlier version behind as `previous_champion`, unless that
    alias was moved as well: then the way back is somebody's own choice.
    """
    with in_turn(client):
        now = positions(client, model)
        seen = {alias: ledger.last(client, model, alias) for alias in ALIASES}
        moved = [alias for alias in ALIASES if not _is_where_seen(client, model, now.get(alias), seen[alias])]
        found = [_write_found(client, model, alias, seen[alias], now.get(alias)) for alias in moved]
        champion = seen[CHAMPION]
        if champion is None or CHAMPION not in moved or PREVIOUS_CHAMPION in moved:
            return found
        return found + _keep_way_back(client, champion)


def _write_found(client: MlflowClient, model: str, alias: str, seen: Move | None, now: int | None) -> Entry:
    return write_down(
        client,
        model,
        alias,
        seen.to_version if seen else None,
        now,
        by="elsewhere",
        who=ELSEWHERE,
        why="found moved outside of this project's commands, for example in the MLflow UI",
        from_origin=seen.to_origin if seen else None,
    )


def _keep_way_back(client: MlflowClient, seen: Move) -> list[Entry]:
    """Makes the champion that the ledger last saw the previous one, where that version is still there."""
    before = seen.to_version
    if before is None or version_or_none(client, seen.model, before, seen.to_origin) is None:
        return []
    why = f"version {before} was the champion before the move that was found"
    kept = move(client, seen.model, PREVIOUS_CHAMPION, before, by="elsewhere", who=ELSEWHERE, why=why)
    return [kept] if kept else []


def write_down(
    client: MlflowClient,
    model: str,
    alias: str,
    before: int | None,
    to: int | None,
    *,
    by: By,
    who: str,
    why: str,
    from_origin: str | None = None,
) -> Entry:
    """Adds a move that was made to the ledger.

    Args:
        client: Of the registry.
        model: Name of the registered model.
        alias: What was moved.
        before: Where it was.
        to: Where it is.
        by: What moved it.
        who: The person.
        why: The reason.
        from_origin: Of the version where it was; None: of the version that has this number now.
    """
    versions = [version_or_none(client, model, version) for version in (before, to)]
    one, other = (None if version is None else origin_of(version) for version in versions)
    outcome = outcome_of(versions[1])
    written = Move(
        model=model,
        alias=alias,
        from_version=before,
        to_version=to,
        from_origin=from_origin or one,
        to_origin=other,
        by=by,
        who=who,
        why=why,
        gate_outcome=outcome,
        flagged=alias == CHAMPION and to is not None and outcome != PASSED,
    )
    return ledger.write(client, written)


def _is_where_seen(client: MlflowClient, model: str, now: int | None, seen: Move | None) -> bool:
    """Returns whether an alias points at the version that the ledger last saw it at, or at none like it."""
    if seen is None or now is None:
        return now == (seen.to_version if seen else None)
    return now == seen.to_version and version_or_none(client, model, now, seen.to_origin) is not None
