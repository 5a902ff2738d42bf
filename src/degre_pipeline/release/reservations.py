"""Why a version that passed the gate may not become the champion by itself."""

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion

from degre_pipeline.release.aliases import CHAMPION, positions
from degre_pipeline.release.served_before import taken_down
from degre_pipeline.release.versions import origin_of, version_or_none


def reservations(client: MlflowClient, version: ModelVersion, opponent: ModelVersion | None) -> list[str]:
    """Returns why a person has to promote a version; nothing where it may promote itself.

    Args:
        client: Of the registry.
        version: The new version.
        opponent: What it is compared with; None where there is no champion.
    """
    down = taken_down(client, version)
    champion = positions(client, version.name).get(CHAMPION)
    reasons = []
    if down is not None:
        reasons.append(
            f"version {version.version} was taken down by {down.move.who}: {down.move.why}; "
            "a person may promote it again"
        )
    if champion is None and opponent is not None:
        reasons.append(
            f"no version is the champion, though version {opponent.version} was: its alias was taken away, "
            "and the comparison is with that version"
        )
    return reasons


def champion_since(
    client: MlflowClient, version: ModelVersion, number: int | None, origin: str | None
) -> str:
    """Returns why a comparison no longer counts; empty where the champion is still what was compared with.

    Args:
        client: Of the registry.
        version: The new version; where it is the champion itself, nothing is left to be done.
        number: Of the champion in the comparison; None where there was none.
        origin: What tells that version from another one of its number.
    """
    champion = positions(client, version.name).get(CHAMPION)
    now = version_or_none(client, version.name, champion)
    if now is not None and origin_of(now) == origin_of(version):
        return ""
    if champion == number and (now is None or origin_of(now) == origin):
        return ""
    compared = f"the comparison was with version {number or 'none'}"
    return f"the champion is version {champion or 'none'} now; {compared}"
