"""Makes a version the champion, and goes back to the one before it."""

from mlflow import MlflowClient

from degre_pipeline.promotion.aliases import (
    CHALLENGER,
    CHAMPION,
    PREVIOUS_CHAMPION,
    gate_outcome,
    move,
    positions,
)
from degre_pipeline.promotion.ledger import Entry, version_or_none

LET_THROUGH = ("promote", "hold")
"""Outcomes of the gate whose version a person may promote without insisting."""


def promote(
    client: MlflowClient, model: str, version: int | None = None, *, who: str, why: str, force: bool = False
) -> list[Entry]:
    """Makes a version the champion, and the champion before it the previous champion.

    Args:
        client: Of the registry.
        model: Name of the registered model.
        version: Which; None takes the challenger.
        who: For the ledger.
        why: For the ledger.
        force: Promotes even what the gate refused or did not judge.
    Returns: What was written to the ledger; nothing where the version is the champion already.
    Raises: ValueError: If there is no such version, or if the gate did not let it through.
    """
    now = positions(client, model)
    chosen = now.get(CHALLENGER) if version is None else version
    if version_or_none(client, model, chosen) is None:
        raise ValueError(
            f"version {version or 'of the challenger'} of {model!r} is not in the registry; "
            "allowed: a registered version; `degre history` and the MLflow UI list them"
        )
    outcome = gate_outcome(client, model, chosen)
    if outcome not in LET_THROUGH and not force:
        raise ValueError(
            f"the gate's outcome for version {chosen} is {outcome!r}; "
            f"allowed: {' or '.join(LET_THROUGH)}, or insist with --force"
        )
    return _make_champion(client, model, int(str(chosen)), now.get(CHAMPION), who=who, why=why)


def roll_back(client: MlflowClient, model: str, *, who: str, why: str) -> list[Entry]:
    """Makes the previous champion the champion again; a second time undoes the first.

    Raises: ValueError: If there is no previous champion.
    """
    now = positions(client, model)
    if version_or_none(client, model, now.get(PREVIOUS_CHAMPION)) is None:
        raise ValueError(
            f"{model!r} has no version with alias {PREVIOUS_CHAMPION!r}; "
            "allowed: a model that had a champion before this one; `degre promote VERSION` names another"
        )
    return _make_champion(client, model, now[PREVIOUS_CHAMPION], now.get(CHAMPION), who=who, why=why)


def _make_champion(
    client: MlflowClient, model: str, version: int, before: int | None, *, who: str, why: str
) -> list[Entry]:
    """Moves the way back first, so that an interruption between the two moves loses no version."""
    if version == before:
        return []
    kept = None if before is None else move(client, model, PREVIOUS_CHAMPION, before, who=who, why=why)
    moved = move(client, model, CHAMPION, version, who=who, why=why)
    return [entry for entry in (kept, moved) if entry]
