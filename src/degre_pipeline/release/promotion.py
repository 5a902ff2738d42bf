"""Makes a version the champion, and goes back to the one before it."""

from mlflow import MlflowClient

from degre_pipeline.release.aliases import (
    CHALLENGER,
    CHAMPION,
    PREVIOUS_CHAMPION,
    point,
    positions,
    write_down,
)
from degre_pipeline.release.ledger import By, Entry
from degre_pipeline.release.served_before import other_champion
from degre_pipeline.release.turns import in_turn
from degre_pipeline.release.versions import outcome_of, version_or_none

LET_THROUGH = ("promote", "hold")
"""Outcomes of the gate whose version a person may promote without insisting."""


def promote(
    client: MlflowClient,
    model: str,
    version: int | None = None,
    *,
    who: str,
    why: str,
    by: By = "person",
    force: bool = False,
) -> list[Entry]:
    """Makes a version the champion, and the champion before it the previous champion.

    Args:
        client: Of the registry.
        model: Name of the registered model.
        version: Which; None takes the challenger.
        who: For the ledger.
        why: For the ledger.
        by: A person or the gate, for the ledger.
        force: Promotes even what the gate refused or did not judge.
    Returns: What was written to the ledger; nothing where the version is the champion already.
    Raises: ValueError: If there is no such version, or if the gate did not let it through.
    """
    with in_turn(client):
        now = positions(client, model)
        chosen = now.get(CHALLENGER) if version is None else version
        found = version_or_none(client, model, chosen)
        if found is None:
            raise ValueError(
                f"version {version or 'of the challenger'} of {model!r} is not in the registry; "
                "allowed: a registered version; `degre history` and the MLflow UI list them"
            )
        outcome = outcome_of(found)
        if outcome not in LET_THROUGH and not force:
            raise ValueError(
                f"the gate's outcome for version {chosen} is {outcome!r}; "
                f"allowed: {' or '.join(LET_THROUGH)}, or insist with --force"
            )
        return _make_champion(client, model, int(str(chosen)), now, by=by, who=who, why=why)


def roll_back(client: MlflowClient, model: str, *, who: str, why: str) -> list[Entry]:
    """Makes the previous champion the champion again; a second time undoes the first.

    Where the alias `previous_champion` names the champion itself, as after an interrupted promotion, the
    ledger says which other version was the champion last.

    Raises: ValueError: If there is no previous champion.
    """
    with in_turn(client):
        now = positions(client, model)
        champion, previous = now.get(CHAMPION), now.get(PREVIOUS_CHAMPION)
        if previous is not None and previous == champion:
            previous = other_champion(client, model, champion)
        if previous is None or version_or_none(client, model, previous) is None:
            raise ValueError(
                f"{model!r} has no version with alias {PREVIOUS_CHAMPION!r}; allowed: "
                "a model that had a champion before this one; `degre promote VERSION` names another"
            )
        return _make_champion(client, model, previous, now, by="person", who=who, why=why)


def _make_champion(
    client: MlflowClient, model: str, version: int, now: dict[str, int], *, by: By, who: str, why: str
) -> list[Entry]:
    """Moves both aliases, the way back first, and only then writes them down, which may fail."""
    wanted = {PREVIOUS_CHAMPION: now.get(CHAMPION), CHAMPION: version}
    if version == now.get(CHAMPION):
        return []
    moved = {alias: to for alias, to in wanted.items() if to is not None and to != now.get(alias)}
    for alias, to in moved.items():
        point(client, model, alias, to)
    return [
        write_down(client, model, alias, now.get(alias), to, by=by, who=who, why=why)
        for alias, to in moved.items()
    ]
