"""What the gate writes to MLflow: the outcome at the version, the report at its run, the promotion."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import mlflow
from mlflow.entities.model_registry import ModelVersion

from degre_pipeline.release.aliases import PASSED, notice
from degre_pipeline.release.gate.findings import Finding
from degre_pipeline.release.gate.gate_config import Promotes
from degre_pipeline.release.ledger import REPORT, user
from degre_pipeline.release.promotion import promote
from degre_pipeline.release.reservations import champion_since, reservations
from degre_pipeline.release.served_before import SUPERIOR_TO
from degre_pipeline.release.turns import in_turn
from degre_pipeline.release.versions import origin_of, outcome_of, version_or_none

Decision = Mapping[str, Any]
Render = Callable[[Decision, str], str]
"""A decision and the last day of its requests to a page."""


def record(
    registered: Mapping[str, Any], decision: Decision, report: str, promotes: Promotes, render: Render
) -> dict[str, Any]:
    """Writes an outcome to its version, and makes a version that passed the champion if the settings say so.

    What has happened in the registry since the judgement counts: then the version is held, and the report
    says why.

    Returns: outcome, and the moves that were made, after those made elsewhere that were found.
    Raises: ValueError: If the version in the registry is another one of that number.
    """
    client = mlflow.MlflowClient()
    version = judged_version(client, registered, decision)
    with in_turn(client):
        write_outcome(client, version, decision, report)
        moved = notice(client, version.name)
        settled = settle(client, version, decision)
        if settled is not decision:
            page = render(settled, settled["slice"]["last_day"])
            write_outcome(client, version, settled, page)
        wanted = promotes == "always" or (promotes == "first" and settled["first"])
        if wanted and settled["outcome"] == "promote":
            why = f"the gate: {outcome_tags(settled)['gate_decided_by']}"
            who = f"gate, run by {user()}"
            moved += promote(client, version.name, int(version.version), by="gate", who=who, why=why)
    return {"outcome": settled["outcome"], "moves": [vars(entry.move) for entry in moved]}


def judged_version(
    client: mlflow.MlflowClient, registered: Mapping[str, Any], decision: Decision
) -> ModelVersion:
    """Returns the version that was judged. Raises: ValueError: If its number is another version's by now."""
    version = client.get_model_version(registered["name"], str(registered["version"]))
    if origin_of(version) != decision["challenger"]["origin"]:
        raise ValueError(
            f"version {version.version} of {version.name} is made of {origin_of(version)}; allowed: "
            f"{decision['challenger']['origin']}, as judged. Judge it: kedro run --pipeline=gate"
        )
    return version


def settle(client: mlflow.MlflowClient, version: ModelVersion, decision: Decision) -> Decision:
    """Returns the decision, or a hold where the registry has changed since the judgement."""
    if decision["outcome"] != "promote":
        return decision
    champion = decision["champion"] or {"version": None, "origin": None}
    since = champion_since(client, version, champion["version"], champion["origin"])
    reasons = [*([since] if since else []), *reservations(client, version, None)]
    if not reasons:
        return decision
    held = [asdict(Finding("registry", "aliases", "hold", reason)) for reason in reasons]
    return {
        **decision,
        "outcome": "hold",
        "decided_by": held[0],
        "findings": [*decision["findings"], *held],
    }


def write_outcome(
    client: mlflow.MlflowClient, version: ModelVersion, decision: Decision, report: str
) -> None:
    """Tags the version with the decision and its slice, and keeps the report with the version's run.

    A version that passed on its day stays one when its day is run again after a later champion has learned
    from that day: then nothing can be compared any more, and nothing new is known.
    """
    if outdated(decision):
        now = version_or_none(client, version.name, int(version.version))
        if outcome_of(now) == PASSED:
            return
    client.log_text(str(version.run_id), report, f"{REPORT}/gate_report.html")
    client.log_dict(str(version.run_id), dict(decision), f"{REPORT}/gate_decision.json")
    for name, value in outcome_tags(decision).items():
        client.set_model_version_tag(version.name, version.version, name, value)


def outdated(decision: Decision) -> bool:
    """Returns whether a decision rests on the champion having learned from the slice."""
    by = decision["decided_by"]
    return bool(by["rule"] == "time_forward" and by["about"].startswith("champion"))


def outcome_tags(decision: Decision) -> dict[str, str]:
    """Returns the decision as tags of a version."""
    by, champion = decision["decided_by"], decision["champion"]
    return {
        "gate_outcome": decision["outcome"],
        "gate_decided_by": f"{by['rule']} ({by['about']}): {by['reason']}",
        "gate_first": str(decision["first"]).lower(),
        "gate_champion": "none" if champion is None else str(champion["version"]),
        SUPERIOR_TO: ",".join(map(str, decision["superior_to"])) or "none",
        "slice_sha256": decision["slice"]["sha256"],
        "slice_first_day": decision["slice"]["first_day"],
        "slice_last_day": decision["slice"]["last_day"],
    }
