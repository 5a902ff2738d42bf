"""The report's figures of the diagnostics; each is a `data:` address, None where there is nothing to draw."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

from degre_pipeline.judging import names
from degre_pipeline.reports.numbers import JUDGE_LABELS, SUBJECT_LABELS
from degre_pipeline.reports.plots import (
    JUDGE_COLOURS,
    OBSERVED_COLOUR,
    SUBJECT_COLOURS,
    drawing,
    image_address,
    legend_below,
)

LIST_KINDS = (names.RANDOM, names.MINED, names.EXPOSED)
PAIR_COLOURS = ("#0072B2", "#CC79A7", "#009E73")
NOVELTY = {
    names.UNLOGGED_ITEM_IN_SLOT: "item in its slot",
    names.UNLOGGED_NEXT_ITEM: "item and the next one",
}
PREFIXES = {
    names.TEACHERS_PREFIX: ("the teacher's prefix", "#E69F00"),
    names.OWN_PREFIX: ("own prefix", "#0072B2"),
}


def all_figures(diagnostics: pd.DataFrame) -> dict[str, str | None]:
    """Returns every figure under the name that the page knows it by."""
    return {
        "judges_figure": judges(diagnostics),
        "optimism_figure": optimism(diagnostics),
        "beam_size_figure": along(diagnostics, names.BEAM_SIZE, "beam size", logarithmic=True),
        "epoch_figure": along(diagnostics, names.EPOCH, "epoch"),
        "novelty_figure": novelty(diagnostics),
        "step_figure": steps(diagnostics),
    }


def judges(diagnostics: pd.DataFrame) -> str | None:
    """Draws the rank correlation of every two judges on random, mined and exposed lists."""
    found = _named(diagnostics, names.AGREEMENT)
    if found.empty:
        return None
    pairs = list(dict.fromkeys(found["judge"]))
    with drawing(1) as (figure, axes):
        for number, (pair, colour) in enumerate(zip(pairs, PAIR_COLOURS, strict=False)):
            pair_rows = found[found["judge"] == pair]
            places = [
                LIST_KINDS.index(kind) + (number - (len(pairs) - 1) / 2) * 0.26
                for kind in pair_rows["subject"]
            ]
            one, other = pair.split("-")
            _bars(axes[0], places, pair_rows, 0.24, color=colour, label=f"{one} and {other}")
        axes[0].set_xticks(range(len(LIST_KINDS)), LIST_KINDS)
        axes[0].axhline(0, color=OBSERVED_COLOUR, linewidth=0.9)
        axes[0].set(title="agreement of judges", ylabel="rank correlation")
        axes[0].set_ylim(top=1.02)
        axes[0].grid(visible=False, axis="x")
        legend_below(figure, axes)
        return image_address(figure)


def optimism(diagnostics: pd.DataFrame) -> str | None:
    """Draws the optimism of mined and of exposed lists by decile of the miner's value and by slot."""
    panels = {
        names.OPTIMISM_BY_DECILE: ("by value", "tenth of the lists by the miner's value"),
        names.OPTIMISM_BY_SLOT: ("by slot", "slot"),
    }
    if _named(diagnostics, *panels).empty:
        return None
    with drawing(len(panels)) as (figure, axes):
        for panel, (name, (title, xlabel)) in zip(axes, panels.items(), strict=True):
            for kind, rows in _named(diagnostics, name).groupby(["judge", "subject"], sort=False):
                judge, subject = map(str, kind)
                style = {"color": JUDGE_COLOURS[judge], "linestyle": "-" if subject == names.BEAM else "--"}
                _curve(panel, rows, label=f"{SUBJECT_LABELS[subject]}, over {JUDGE_LABELS[judge]}", **style)
            _finish(panel, f"optimism {title}", xlabel, "clicks over the judge's")
        legend_below(figure, axes, columns=2)
        return image_address(figure)


def along(diagnostics: pd.DataFrame, place: str, label: str, *, logarithmic: bool = False) -> str | None:
    """Draws value and optimism of the best mined lists by judge, along beam sizes or epochs."""
    panels = {names.VALUE_BY + place: "expected clicks", names.OPTIMISM_BY + place: "optimism"}
    if _named(diagnostics, *panels).empty:
        return None
    with drawing(len(panels)) as (figure, axes):
        for panel, (name, ylabel) in zip(axes, panels.items(), strict=True):
            found = _named(diagnostics, name)
            for judge in [judge for judge in JUDGE_LABELS if judge in set(found["judge"])]:
                rows = found[found["judge"] == judge]
                _curve(panel, rows, label=JUDGE_LABELS[judge], color=JUDGE_COLOURS[judge])
            _finish(panel, f"{ylabel} by {label}", label, "clicks a list", zero=ylabel == "optimism")
            if logarithmic:
                panel.set_xscale("log", base=2)
                panel.set_xticks(places := sorted(set(found["at"])), [f"{at:g}" for at in places])
        legend_below(figure, axes)
        return image_address(figure)


def novelty(diagnostics: pd.DataFrame) -> str | None:
    """Draws the share of pairs in each subject's lists that were never logged together."""
    if _named(diagnostics, *NOVELTY).empty:
        return None
    with drawing(len(NOVELTY)) as (figure, axes):
        for panel, (name, title) in zip(axes, NOVELTY.items(), strict=True):
            found = _named(diagnostics, name).set_index("subject")
            shown = [subject for subject in SUBJECT_LABELS if subject in found.index]
            colours = [SUBJECT_COLOURS[subject] for subject in shown]
            _bars(panel, range(len(shown)), found.loc[shown], 0.7, color=colours)
            panel.set_xticks(range(len(shown)), [SUBJECT_LABELS[name].replace(" ", "\n") for name in shown])
            panel.set(title=title, ylabel="never logged together")
            panel.yaxis.set_major_formatter(PercentFormatter(1))
            panel.set_ylim(bottom=0)
            panel.grid(visible=False, axis="x")
        return image_address(figure)


def steps(diagnostics: pd.DataFrame) -> str | None:
    """Draws by slot how often the generator chooses as the beam does, and what its choices cost."""
    agreement, lost = _named(diagnostics, names.CHOICE_AGREEMENT), _named(diagnostics, names.VALUE_LOST)
    if agreement.empty and lost.empty:
        return None
    with drawing(2) as (figure, axes):
        for subject, rows in agreement.groupby("subject", sort=False):
            label, colour = PREFIXES[str(subject)]
            _curve(axes[0], rows, label=label, color=colour)
        _finish(axes[0], "same next item", "slot", "share of requests", zero=False)
        axes[0].set_ylim(0, 1.02)
        axes[0].yaxis.set_major_formatter(PercentFormatter(1))
        _bars(axes[1], lost["at"].tolist(), lost, 0.7, color=PREFIXES[names.OWN_PREFIX][1])
        _finish(axes[1], "value lost by the choice", "slot", "clicks a list")
        legend_below(figure, axes)
        return image_address(figure)


def _named(diagnostics: pd.DataFrame, *wanted: str) -> pd.DataFrame:
    return diagnostics[diagnostics["diagnostic"].isin(wanted) & diagnostics["value"].notna()]


def _curve(panel: Axes, rows: pd.DataFrame, **style: Any) -> None:
    """Draws values with their intervals as a band."""
    panel.plot(rows["at"], rows["value"], marker="o", **style)
    panel.fill_between(rows["at"], rows["low"], rows["high"], color=style["color"], alpha=0.12, linewidth=0)


def _bars(panel: Axes, places: Sequence[float], rows: pd.DataFrame, width: float, **style: Any) -> None:
    around = [(rows["value"] - rows["low"]).clip(lower=0), (rows["high"] - rows["value"]).clip(lower=0)]
    panel.bar(
        list(places),
        rows["value"],
        width,
        yerr=around,
        error_kw={"ecolor": OBSERVED_COLOUR, "elinewidth": 0.9},
        **style,
    )


def _finish(panel: Axes, title: str, xlabel: str, ylabel: str, *, zero: bool = True) -> None:
    panel.set(title=title, xlabel=xlabel, ylabel=ylabel)
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    if zero:
        panel.axhline(0, color=OBSERVED_COLOUR, linewidth=0.9)
