"""The experiment's report: one HTML page that needs nothing but itself."""

import base64
import io
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

import jinja2

from degre_pipeline.pipelines.online_experiment.figures import BEFORE, COMPARISONS, EVERYBODY, MEASURES
from degre_pipeline.simulation.online_experiment import ARMS

Rows = Sequence[Mapping[str, Any]]
TITLES = {"click_through": "clicks a shown item", "orders": "orders a visit", "revenue": "revenue a visit"}
NAMES = {"ranking_order": "ranking order", "prm": "PRM", "degre": "DeGRe"}
_COLOURS = {"prm": "#8a94a0", "degre": "#0b6bcb"}


def render_online_report(rows: Rows, served: Mapping[str, Any], run_date: str, days: int) -> str:
    """Returns the page. All data in it is escaped, and characters beyond ASCII are written as references."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters |= {"level": level_text, "lift": lift_text}
    template = environment.from_string(
        resources.files(__package__).joinpath("report.html.j2").read_text("utf-8")
    )
    page = template.render(
        cell=lambda **wanted: one(rows, **wanted),
        groups=groups_of(rows),
        arms=ARMS,
        measures=MEASURES,
        comparisons=COMPARISONS,
        titles=TITLES,
        names=NAMES,
        before=BEFORE,
        everybody=EVERYBODY,
        served=served,
        run_date=run_date,
        days=days,
        picture=base64.b64encode(picture(rows)).decode(),
    )
    return page.encode("ascii", "xmlcharrefreplace").decode("ascii")


def groups_of(rows: Rows) -> list[tuple[str, str]]:
    """Returns every grouping and group, everybody first, in the order of the rows."""
    return [pair for pair in dict.fromkeys((row["by"], row["group"]) for row in rows) if pair[0] != BEFORE]


def one(rows: Rows, **wanted: Any) -> Mapping[str, Any]:
    """Returns the row with the wanted values. Raises: ValueError: If there is none."""
    wanted = {"against": None, "by": EVERYBODY, "group": EVERYBODY} | wanted
    for row in rows:
        if all(row[name] == value for name, value in wanted.items()):
            return row
    raise ValueError(f"no row has {wanted}; the experiment has to be run again")


def level_text(row: Mapping[str, Any]) -> str:
    """Returns a level with its interval; a dash where there is none."""
    if row["value"] is None:
        return "–"
    ends = "" if row["low"] is None else f" [{row['low']:.4g}, {row['high']:.4g}]"
    return f"{row['value']:.4g}{ends}"


def lift_text(row: Mapping[str, Any]) -> str:
    """Returns a lift in percent with its interval; a dash where there is none."""
    if row["value"] is None:
        return "–"
    ends = "" if row["low"] is None else f" [{100 * row['low']:+.1f}, {100 * row['high']:+.1f}]"
    return f"{100 * row['value']:+.1f}%{ends}"


def picture(rows: Rows) -> bytes:
    """Returns a PNG of the lifts over the ranking order, by group, with their intervals."""
    from matplotlib.figure import Figure

    groups = groups_of(rows)
    figure = Figure(figsize=(11, 0.34 * len(groups) + 1.3), layout="constrained")
    panels = figure.subplots(1, len(MEASURES), sharey=True)
    for panel, measure in zip(panels, MEASURES, strict=True):
        panel.axvline(0, color="#b0b7bf", linewidth=1)
        for shift, arm in ((-0.14, "prm"), (0.14, "degre")):
            _draw(panel, rows, groups, measure=measure, arm=arm, shift=shift)
        panel.set_title(TITLES[measure], fontsize=10)
        panel.set_xlabel("lift over the ranking order, %")
    panels[0].set_yticks(range(len(groups)), [_label(*group) for group in groups])
    panels[0].invert_yaxis()
    panels[-1].legend(frameon=False, fontsize=8)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=110)
    return file.getvalue()


def _draw(
    panel: Any, rows: Rows, groups: Sequence[tuple[str, str]], *, measure: str, arm: str, shift: float
) -> None:
    """Draws an arm's lifts: a point a group, and a line from end to end of its interval."""
    found = [
        (place + shift, one(rows, subject=arm, against="ranking_order", by=by, group=group, measure=measure))
        for place, (by, group) in enumerate(groups)
    ]
    known = [(place, row) for place, row in found if row["value"] is not None and row["low"] is not None]
    panel.hlines(
        [place for place, _ in known],
        [100 * row["low"] for _, row in known],
        [100 * row["high"] for _, row in known],
        color=_COLOURS[arm],
    )
    panel.plot(
        [100 * row["value"] for _, row in known],
        [place for place, _ in known],
        "o",
        color=_COLOURS[arm],
        markersize=4,
        label=NAMES[arm],
    )


def _label(by: str, group: str) -> str:
    words = {EVERYBODY: "everybody", "users": f"{group} users", "client": f"client {group}"}
    return words.get(by, group.replace("_", " "))
