"""Renders the report of the living shop: what each day was worth, and to which model."""

from typing import Any

import pandas as pd

from degre_pipeline.experiments.day_rows import BEST, GAIN
from degre_pipeline.experiments.served_lists import CHAMPION, FROZEN
from degre_pipeline.judging.names import RANKING_ORDER, REGRET_REMOVED
from degre_pipeline.reports.page import render
from degre_pipeline.reports.plots import MUTED_COLOUR, drawing, image_address
from degre_pipeline.run_facts import RunFacts

NAMES = {
    CHAMPION: "retrained, as served",
    FROZEN: "frozen: the first champion",
    RANKING_ORDER: "ranking order",
    BEST: "best lists",
}
_COLOURS = {CHAMPION: "#0072B2", FROZEN: "#D55E00"}


def render_story(figures: pd.DataFrame, facts: RunFacts) -> str:
    """Returns the page of all days so far, with the columns of `figures_of`."""
    return render(
        "living_shop_page.html.j2",
        facts,
        {
            "days": [
                {"day": day, **{row["subject"]: row for row in rows.to_dict("records")}}
                for day, rows in figures.groupby("day")
            ],
            "names": NAMES,
            "gain": GAIN,
            "promotions": promotions(figures),
            "plot": _plot(figures),
        },
    )


def promotions(figures: pd.DataFrame) -> dict[str, int]:
    """Returns the version that serves from a day on, by the day on which it first did."""
    served = figures[figures["subject"] == CHAMPION].sort_values("day")
    versions = served["version"].astype(int)
    first = versions.diff() != 0  # NaN on the first day, which counts as a change
    return dict(zip(served["day"][first], versions[first], strict=True))


def draw_quality(panel: Any, figures: pd.DataFrame) -> None:
    """Draws the share of the ranking order's regret that each model removes, by day, and the promotions."""
    for subject, colour in _COLOURS.items():
        rows = _of(figures, subject)
        panel.plot(
            rows.index, 100 * rows[REGRET_REMOVED], "o-", color=colour, markersize=4, label=NAMES[subject]
        )
    for day, version in promotions(figures).items():
        at = pd.Timestamp(day)
        panel.axvline(at, color=MUTED_COLOUR, linewidth=1, linestyle=":")
        panel.annotate(
            f"v{version}", (at, 1), xycoords=("data", "axes fraction"), fontsize=8, va="bottom", ha="center"
        )
    panel.set_ylabel("regret removed, %")
    panel.tick_params(axis="x", rotation=45)
    panel.legend(frameon=False, fontsize=9)


def draw_gain(panel: Any, figures: pd.DataFrame) -> None:
    """Draws what retraining is worth: the champion's clicks over the frozen model's, with intervals."""
    rows = _of(figures, GAIN)
    panel.axhline(0, color=MUTED_COLOUR, linewidth=1)
    panel.fill_between(
        rows.index, rows["low"], rows["high"], color=_COLOURS[CHAMPION], alpha=0.2, linewidth=0
    )
    panel.plot(rows.index, rows["clicks"], "o-", color=_COLOURS[CHAMPION], markersize=4)
    panel.set_ylabel("clicks a request, retrained over frozen")
    panel.tick_params(axis="x", rotation=45)


def _of(figures: pd.DataFrame, subject: str) -> pd.DataFrame:
    """Returns the rows of a subject in the order of their days, which become the index."""
    rows = figures[figures["subject"] == subject]
    return rows.set_index(pd.to_datetime(rows["day"])).sort_index()


def _plot(figures: pd.DataFrame) -> str:
    with drawing(2, width=5.5, height=4.2) as (figure, (quality, gain)):
        draw_quality(quality, figures)
        draw_gain(gain, figures)
        return image_address(figure)
