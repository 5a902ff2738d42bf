"""The report's figures of models: how they trained, and how well they are calibrated."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator, PercentFormatter

from degre_pipeline.reports.numbers import MODEL_LABELS
from degre_pipeline.reports.plots import (
    MODEL_COLOURS,
    MUTED_COLOUR,
    OBSERVED_COLOUR,
    drawing,
    image_address,
    legend_below,
)

TEACHER_AGREEMENT = {
    "same_list": "same list",
    "same_items": "same items, any order",
    "same_first_item": "same first item",
}
"""Columns of the generator's history beside its losses."""

TEACHER_COLOURS = {"same_list": "#0072B2", "same_items": "#56B4E9", "same_first_item": "#5F6B76"}


def training_curves(histories: Mapping[str, pd.DataFrame]) -> str:
    """Draws training and validation loss by epoch, a panel a model, the epoch that was kept marked."""
    with drawing(len(histories)) as (figure, axes):
        for panel, (model, history) in zip(axes, histories.items(), strict=True):
            epochs = history["epoch"]
            panel.plot(epochs, history["training_loss"], color=MUTED_COLOUR, marker="o", label="training")
            panel.plot(epochs, history["validation_loss"], color="#0072B2", marker="o", label="validation")
            kept = history.nsmallest(1, "validation_loss")["epoch"]  # none where all are NaN
            for epoch in kept.tolist():
                panel.axvline(epoch, color="#0072B2", linewidth=0.8, linestyle=":", label="epoch kept")
            panel.set(title=model, xlabel="epoch", ylabel="loss")
            panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        legend_below(figure, axes)
        return image_address(figure)


def teacher_agreement(history: pd.DataFrame) -> str | None:
    """Draws how often the generator decodes its teacher's best list, by epoch; None where not measured."""
    measured = {column: label for column, label in TEACHER_AGREEMENT.items() if column in history}
    if not measured:
        return None
    with drawing(1) as (figure, axes):
        for column, label in measured.items():
            axes[0].plot(
                history["epoch"], history[column], marker="o", color=TEACHER_COLOURS[column], label=label
            )
        axes[0].set(
            title="agreement with the teacher", xlabel="epoch", ylabel="share of requests", ylim=(0, 1.02)
        )
        axes[0].xaxis.set_major_locator(MaxNLocator(integer=True))
        axes[0].yaxis.set_major_formatter(PercentFormatter(1))
        legend_below(figure, axes)
        return image_address(figure)


def reliability(calibration: pd.DataFrame) -> str:
    """Draws observed over predicted clicks of exposed lists, in bins of equal size by predicted value."""
    with drawing(1) as (figure, axes):
        bins = calibration[calibration["by"] == "value"]
        for model, part in bins.groupby("model", sort=False):
            axes[0].plot(part["predicted"], part["observed"], marker="o", **_model_style(str(model)))
        ends = bins[["predicted", "observed"]].to_numpy(float)
        if np.isfinite(ends).any():
            span = [np.nanmin(ends), np.nanmax(ends)]
            axes[0].plot(span, span, color=OBSERVED_COLOUR, linewidth=0.9, linestyle="--", label="ideal")
        axes[0].set(title="reliability", xlabel="predicted clicks a list", ylabel="observed clicks a list")
        legend_below(figure, axes)
        return image_address(figure)


def calibration_by_slot_and_level(calibration: pd.DataFrame) -> str:
    """Draws predicted and observed clicks up to each slot, and chances of each number of clicks."""
    panels = {
        "slot": ("clicks up to each slot", "slot", "clicks"),
        "level": ("at least k clicks in the whole list", "k", "share of lists"),
    }
    with drawing(len(panels)) as (figure, axes):
        for panel, (by, (title, xlabel, ylabel)) in zip(axes, panels.items(), strict=True):
            rows = calibration[calibration["by"] == by]
            for model, part in rows.groupby("model", sort=False):
                panel.plot(part["at"], part["predicted"], marker="o", **_model_style(str(model)))
            observed = rows.drop_duplicates("at")  # the same for all models
            panel.plot(
                observed["at"],
                observed["observed"],
                color=OBSERVED_COLOUR,
                linestyle="",
                marker="_",
                markersize=14,
                markeredgewidth=2,
                label="observed",
            )
            panel.set(title=title, xlabel=xlabel, ylabel=ylabel)
            panel.xaxis.set_major_locator(MaxNLocator(integer=True))
            panel.set_ylim(bottom=0)
        legend_below(figure, axes)
        return image_address(figure)


def _model_style(model: str) -> dict[str, Any]:
    return {"color": MODEL_COLOURS[model], "label": MODEL_LABELS[model]}
