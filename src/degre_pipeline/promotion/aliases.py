"""The three aliases: where they are, moving them, and noticing that somebody else did."""

from mlflow import MlflowClient

from degre_pipeline.promotion import ledger
from degre_pipeline.promotion.filters import quoted
from degre_pipeline.promotion.ledger import NOT_JUDGED, Entry, Move, version_or_none

CHALLENGER, CHAMPION, PREVIOUS_CHAMPION = "challenger", "champion", "previous_champion"
ALIASES = (CHALLENGER, CHAMPION, PREVIOUS_CHAMPION)
ELSEWHERE = "unknown"
"""Who moved an alias that was found in another place than the ledger says."""
PASSED = "promote"


def positions(client: MlflowClient, model: str) -> dict[str, int]:
    """Returns the version of every alias that is set; none where there is no such model."""
    found = client.search_registered_models(f"name = {quoted(model)}")
    aliases = found[0].aliases if found else {}
    return {alias: int(aliases[alias]) for alias in ALIASES if alias in aliases}


def move(client: MlflowClient, model: str, alias: str, to: int, *, who: str, why: str) -> Entry | None:
    """Moves an alias to a version and writes it down; does nothing where it is there already."""
    before = positions(client, model).get(alias)
    if before == to:
        return None
    client.set_registered_model_alias(model, alias, str(to))
    return _write(client, model, alias, before, to, who=who, why=why)


def notice(client: MlflowClient, model: str) -> list[Entry]:
    """Writes down every alias that is not where the ledger last saw it, and returns what was written.

    A champion that was moved elsewhere leaves its earlier version behind as `previous_champion`, unless that
    alias was moved as well: then the way back is somebody's own choice.
    """
    now = positions(client, model)
    seen = {alias: _last_version(client, model, alias) for alias in ALIASES}
    moved = [alias for alias in ALIASES if now.get(alias) != seen[alias]]
    why = "found moved outside of this project's commands, for example in the MLflow UI"
    found = [
        _write(client, model, alias, seen[alias], now.get(alias), who=ELSEWHERE, why=why) for alias in moved
    ]
    before = seen[CHAMPION]
    lost = CHAMPION in moved and PREVIOUS_CHAMPION not in moved
    if before is not None and lost and version_or_none(client, model, before) is not None:
        why = f"version {before} was the champion before the move that was found"
        kept = move(client, model, PREVIOUS_CHAMPION, before, who=ELSEWHERE, why=why)
        found += [kept] if kept else []
    return found


def opponent_of(client: MlflowClient, model: str, version: int) -> int | None:
    """Returns the version to compare another one with: the champion, or the one before it for itself."""
    now = positions(client, model)
    champion = now.get(CHAMPION)
    return now.get(PREVIOUS_CHAMPION) if champion == version else champion


def gate_outcome(client: MlflowClient, model: str, version: int | None) -> str:
    """Returns what the gate said of a version: `promote`, `hold`, `refuse` or `not judged`."""
    found = version_or_none(client, model, version)
    return str(found.tags.get("gate_outcome", NOT_JUDGED)) if found else NOT_JUDGED


def _last_version(client: MlflowClient, model: str, alias: str) -> int | None:
    known = ledger.last(client, model, alias)
    return known.to_version if known else None


def _write(
    client: MlflowClient, model: str, alias: str, before: int | None, to: int | None, *, who: str, why: str
) -> Entry:
    outcome = gate_outcome(client, model, to)
    written = Move(
        model=model,
        alias=alias,
        from_version=before,
        to_version=to,
        who=who,
        why=why,
        gate_outcome=outcome,
        flagged=alias == CHAMPION and to is not None and outcome != PASSED,
    )
    return ledger.write(client, written)
