"""The story of the days: one HTML page that needs nothing but itself."""

import base64
import io
from importlib import resources
from typing import Any

import jinja2
import pandas as pd

from degre_pipeline.pipelines.living_shop.figures import BEST, GAIN, RANKING_ORDER
from degre_pipeline.pipelines.living_shop.served import CHAMPION, FROZEN

NAMES = {
    CHAMPION: "retrained, as served",
    FROZEN: "frozen: the first champion",
    RANKING_ORDER: "ranking order",
    BEST: "best lists",
}
_COLOURS = {CHAMPION: "#0b6bcb", FROZEN: "#c2571a"}


def render_story(figures: pd.DataFrame) -> str:
    """Returns the page of all days so far, with the columns of `figures_of`."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    template = environment.from_string(
        resources.files(__package__).joinpath("report.html.j2").read_text("utf-8")
    )
    page = template.render(
        days=[
            {"day": day, **{row["subject"]: row for row in own.to_dict("records")}}
            for day, own in figures.groupby("day")
        ],
        names=NAMES,
        gain=GAIN,
        promotions=promotions(figures),
        picture=base64.b64encode(_png(figures)).decode(),
    )
    return page.encode("ascii", "xmlcharrefreplace").decode("ascii")


def promotions(figures: pd.DataFrame) -> dict[str, int]:
    """Returns the version that serves from a day on, by the day on which it first did."""
    served = figures[figures["subject"] == CHAMPION].sort_values("day")
    versions = served["version"].astype(int)
    first = versions.diff() != 0  # that of the first day is no number, and differs, too
    return dict(zip(served["day"][first], versions[first], strict=True))


def draw_quality(panel: Any, figures: pd.DataFrame) -> None:
    """Draws the share of the ranking order's regret that each model removes, by day, and the promotions."""
    for subject, colour in _COLOURS.items():
        own = _of(figures, subject)
        panel.plot(
            own.index, 100 * own["regret_removed"], "o-", color=colour, markersize=4, label=NAMES[subject]
        )
    for day, version in promotions(figures).items():
        at = pd.Timestamp(day)
        panel.axvline(at, color="#b0b7bf", linewidth=1, linestyle=":")
        panel.annotate(
            f"v{version}", (at, 1), xycoords=("data", "axes fraction"), fontsize=8, va="bottom", ha="center"
        )
    panel.set_ylabel("regret removed, %")
    panel.tick_params(axis="x", rotation=45)
    panel.legend(frameon=False, fontsize=9)


def draw_gain(panel: Any, figures: pd.DataFrame) -> None:
    """Draws what retraining is worth: the champion's clicks over the frozen model's, with intervals."""
    own = _of(figures, GAIN)
    panel.axhline(0, color="#b0b7bf", linewidth=1)
    panel.fill_between(own.index, own["low"], own["high"], color=_COLOURS[CHAMPION], alpha=0.2, linewidth=0)
    panel.plot(own.index, own["clicks"], "o-", color=_COLOURS[CHAMPION], markersize=4)
    panel.set_ylabel("clicks a request, retrained over frozen")
    panel.tick_params(axis="x", rotation=45)


def _of(figures: pd.DataFrame, subject: str) -> pd.DataFrame:
    """Returns the rows of a subject in the order of their days, which become the index."""
    own = figures[figures["subject"] == subject]
    return own.set_index(pd.to_datetime(own["day"])).sort_index()


def _png(figures: pd.DataFrame) -> bytes:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.2), layout="constrained")
    quality, gain = figure.subplots(1, 2)
    draw_quality(quality, figures)
    draw_gain(gain, figures)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=110)
    return file.getvalue()
