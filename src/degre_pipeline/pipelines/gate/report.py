"""The gate's report: one HTML page that needs nothing but itself."""

from collections.abc import Mapping
from importlib import resources
from typing import Any

import jinja2

from degre_pipeline.pipelines.gate.belongings import decision_sha256

OUTCOMES = {
    "promote": "Promote",
    "hold": "Hold for a person",
    "refuse": "Refuse",
}


def render_gate_report(decision: Mapping[str, Any], last_day: str) -> str:
    """Returns the page. All data in it is escaped, and characters beyond ASCII are written as references."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters["figure"] = figure
    template = environment.from_string(
        resources.files(__package__).joinpath("report.html.j2").read_text("utf-8")
    )
    page = template.render(
        decision=decision,
        title=OUTCOMES[decision["outcome"]],
        last_day=last_day,
        sha256=decision_sha256(decision),
    )
    return page.encode("ascii", "xmlcharrefreplace").decode("ascii")


def figure(value: float | None) -> str:
    """Returns a number with four significant digits; a dash where there is none."""
    return "–" if value is None else f"{value:.4g}"
