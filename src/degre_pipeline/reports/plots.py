"""How plots look, and how a plot becomes part of a page."""

import base64
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from degre_pipeline.judging import names

# Okabe and Ito's palette, which people with colour-blindness can tell apart.
SUBJECT_COLOURS = {
    names.GENERATOR: "#0072B2",
    names.BEAM: "#E69F00",
    names.RANKING_ORDER: "#5F6B76",
    names.EXPOSED: "#009E73",
    names.RANDOM: "#C3CAD1",
}
MODEL_COLOURS = {
    names.MINING_EVALUATOR: "#CC79A7",
    names.EXTERNAL_EVALUATOR: "#0072B2",
    names.TRUE_MODEL: "#009E73",
}
JUDGE_COLOURS = {names.TRUTH: "#009E73", names.EXTERNAL: "#0072B2", names.MINING: "#CC79A7"}
OBSERVED_COLOUR = "#1F2933"
MUTED_COLOUR = "#9AA5B1"
PANEL_WIDTH, PANEL_HEIGHT = 4.0, 2.9
"""Inches."""

_STYLE: Any = {  # matplotlib's own type for its keys comes and goes with its versions
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that every machine draws the same
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.edgecolor": MUTED_COLOUR,
    "axes.labelcolor": OBSERVED_COLOUR,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E4E7EB",
    "grid.linewidth": 0.8,
    "xtick.color": OBSERVED_COLOUR,
    "ytick.color": OBSERVED_COLOUR,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "lines.markersize": 4.5,
    "svg.hashsalt": "report",  # with the date left out, the same data gives the same bytes
}


@contextmanager
def drawing(
    panels: int, width: float = PANEL_WIDTH, height: float = PANEL_HEIGHT, *, share_y: bool = False
) -> Iterator[tuple[Figure, Sequence[Axes]]]:
    """Yields a figure with that many panels side by side, to be drawn in the pages' style.

    No pyplot: its figures are global and would outlive the node.

    Args:
        panels: Their number.
        width: Of a panel, in inches.
        height: Of a panel, in inches.
        share_y: Whether all panels have the first one's y axis.
    """
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(width * panels, height), layout="constrained")
        axes = figure.subplots(1, panels, squeeze=False, sharey=share_y)[0]
        yield figure, list(axes)


def image_address(figure: Figure) -> str:
    """Returns the figure as a `data:` address; call it within `drawing`, whose style it needs."""
    file = io.BytesIO()
    figure.savefig(file, format="svg", metadata={"Date": None})
    return svg_address(file.getvalue())


def svg_address(svg: bytes) -> str:
    """Returns a drawing as a `data:` address."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg).decode("ascii")


def legend_below(figure: Figure, axes: Sequence[Axes], columns: int = 0) -> None:
    """Adds one legend for all panels under them, in so many columns; 0: as many as short labels allow."""
    entries: dict[str, Any] = {}
    for panel in axes:
        entries |= {label: handle for handle, label in zip(*panel.get_legend_handles_labels(), strict=True)}
    if entries:
        fitting = 2 if len(axes) == 1 else 6
        figure.legend(
            list(entries.values()), list(entries), loc="outside lower center", ncols=columns or fitting
        )
