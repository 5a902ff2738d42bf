"""Renders the report of the online experiment."""

from collections.abc import Mapping, Sequence
from typing import Any

from degre_pipeline.experiments.lift_rows import BEFORE, COMPARISONS, EVERYBODY, MEASURES
from degre_pipeline.judging import names
from degre_pipeline.reports.page import render
from degre_pipeline.reports.plots import MUTED_COLOUR, SUBJECT_COLOURS, drawing, image_address
from degre_pipeline.run_facts import RunFacts
from degre_pipeline.simulation.online_experiment import ARMS, DEGRE, PRM, RANKING_ORDER

Rows = Sequence[Mapping[str, Any]]
TITLES = {"click_through": "clicks a shown item", "orders": "orders a visit", "revenue": "revenue a visit"}
NAMES = {RANKING_ORDER: "ranking order", PRM: "PRM", DEGRE: "DeGRe"}
_COLOURS = {PRM: MUTED_COLOUR, DEGRE: SUBJECT_COLOURS[names.GENERATOR]}


def render_online_report(
    rows: Rows, served: Mapping[str, Any], run_date: str, days: int, facts: RunFacts
) -> str:
    """Returns the page of an experiment of some days after a run date."""
    return render(
        "experiment_page.html.j2",
        facts,
        {
            "cell": lambda **wanted: one(rows, **wanted),
            "groups": groups_of(rows),
            "arms": ARMS,
            "measures": MEASURES,
            "comparisons": COMPARISONS,
            "titles": TITLES,
            "names": NAMES,
            "before": BEFORE,
            "everybody": EVERYBODY,
            "served": served,
            "run_date": run_date,
            "days": days,
            "plot": lift_plot(rows),
        },
        {"level": level_text, "lift": lift_text},
    )


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


def lift_plot(rows: Rows) -> str:
    """Returns the lifts over the ranking order by group, with their intervals, as a `data:` address."""
    groups = groups_of(rows)
    with drawing(len(MEASURES), height=0.34 * len(groups) + 1.3, share_y=True) as (figure, panels):
        for panel, measure in zip(panels, MEASURES, strict=True):
            panel.axvline(0, color=MUTED_COLOUR, linewidth=1)
            for shift, arm in ((-0.14, PRM), (0.14, DEGRE)):
                _draw(panel, rows, groups, measure=measure, arm=arm, shift=shift)
            panel.set_title(TITLES[measure])
            panel.set_xlabel("lift over the ranking order, %")
        panels[0].set_yticks(range(len(groups)), [_label(*group) for group in groups])
        panels[0].invert_yaxis()
        panels[-1].legend()
        return image_address(figure)


def _draw(
    panel: Any, rows: Rows, groups: Sequence[tuple[str, str]], *, measure: str, arm: str, shift: float
) -> None:
    """Draws an arm's lifts: a point a group, and a line from end to end of its interval."""
    found = [
        (place + shift, one(rows, subject=arm, against=RANKING_ORDER, by=by, group=group, measure=measure))
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
