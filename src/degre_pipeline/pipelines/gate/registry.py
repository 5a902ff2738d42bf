"""What the gate writes to MLflow: the outcome at the version, the report at its run, the promotion."""

from collections.abc import Mapping
from typing import Any

import mlflow

from degre_pipeline.promotion.aliases import PASSED, gate_outcome, notice
from degre_pipeline.promotion.champion import promote
from degre_pipeline.promotion.ledger import REPORT, user
from degre_pipeline.reranker.gate.configs import Promotes


def write_outcome(registered: Mapping[str, Any], decision: Mapping[str, Any], report: str) -> None:
    """Tags the version with what was decided on what, and keeps the report with the version's run.

    A version that passed on its day stays one when its day is run again after a later champion has learned
    from that day: then nothing can be compared any more, and nothing new is known.
    """
    client = mlflow.MlflowClient()
    if outdated(decision) and gate_outcome(client, registered["name"], registered["version"]) == PASSED:
        return
    client.log_text(registered["run_id"], report, f"{REPORT}/gate_report.html")
    client.log_dict(registered["run_id"], dict(decision), f"{REPORT}/gate_decision.json")
    for name, value in outcome_tags(decision).items():
        client.set_model_version_tag(registered["name"], str(registered["version"]), name, value)


def outdated(decision: Mapping[str, Any]) -> bool:
    """Returns whether a decision rests on the champion having learned from the slice."""
    by = decision["decided_by"]
    return bool(by["rule"] == "time_forward" and by["about"].startswith("champion"))


def outcome_tags(decision: Mapping[str, Any]) -> dict[str, str]:
    """Returns the decision as tags of a version."""
    by, champion = decision["decided_by"], decision["champion"]
    return {
        "gate_outcome": decision["outcome"],
        "gate_decided_by": f"{by['rule']} ({by['about']}): {by['reason']}",
        "gate_first": str(decision["first"]).lower(),
        "gate_champion": "none" if champion is None else str(champion["version"]),
        "slice_sha256": decision["slice"]["sha256"],
        "slice_first_day": decision["slice"]["first_day"],
        "slice_last_day": decision["slice"]["last_day"],
    }


def promote_if_wanted(
    registered: Mapping[str, Any], decision: Mapping[str, Any], promotes: Promotes
) -> list[dict[str, Any]]:
    """Makes a version that passed the champion, if the settings say so.

    Returns: The moves that were made, after those made elsewhere that were found.
    """
    client, name = mlflow.MlflowClient(), registered["name"]
    moved = notice(client, name)
    wanted = promotes == "always" or (promotes == "first" and decision["first"])
    if wanted and decision["outcome"] == "promote":
        why = f"the gate: {outcome_tags(decision)['gate_decided_by']}"
        moved += promote(client, name, registered["version"], who=f"gate, run by {user()}", why=why)
    return [vars(entry.move) for entry in moved]
