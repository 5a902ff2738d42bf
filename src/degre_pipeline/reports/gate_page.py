"""Renders the gate's report."""

from collections.abc import Mapping
from typing import Any

from degre_pipeline.release.gate.belongings import decision_sha256
from degre_pipeline.reports.page import render
from degre_pipeline.run_facts import RunFacts

OUTCOMES = {
    "promote": "Promote",
    "hold": "Hold for a person",
    "refuse": "Refuse",
}


def render_gate_report(decision: Mapping[str, Any], last_day: str, facts: RunFacts) -> str:
    """Returns the page of a decision on test requests up to a day."""
    return render(
        "gate_page.html.j2",
        facts,
        {
            "decision": decision,
            "title": OUTCOMES[decision["outcome"]],
            "last_day": last_day,
            "sha256": decision_sha256(decision),
        },
        {"figure": figure},
    )


def figure(value: float | None) -> str:
    """Returns a number with four significant digits; a dash where there is none."""
    return "–" if value is None else f"{value:.4g}"
