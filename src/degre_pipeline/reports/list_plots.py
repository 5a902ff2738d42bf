"""The report's figures of lists; each function returns an image as a `data:` address."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from degre_pipeline.judging import names
from degre_pipeline.reports.numbers import (
    JUDGE_LABELS,
    SUBJECT_LABELS,
    Estimates,
    judges_of_lists,
    subjects_of,
)
from degre_pipeline.reports.plots import (
    MUTED_COLOUR,
    OBSERVED_COLOUR,
    SUBJECT_COLOURS,
    drawing,
    image_address,
    legend_below,
)


def hit_rates(estimates: Estimates) -> str:
    """Draws HR@1%, 3% and 10% of every subject with intervals, a panel a judge."""
    judges, subjects = judges_of_lists(estimates), subjects_of(estimates)
    with drawing(len(judges)) as (figure, axes):
        for panel, judge in zip(axes, judges, strict=True):
            for position, subject in enumerate(subjects):
                _bars(panel, estimates, subject, judge, (position - (len(subjects) - 1) / 2) * 0.16)
            chance = [percent / 100 for percent in names.HIT_RATES]
            start, end = ([x + side for x in range(len(names.HIT_RATES))] for side in (-0.42, 0.42))
            panel.hlines(chance, start, end, color=OBSERVED_COLOUR, linewidth=0.8, linestyle=":")
            panel.set(title=JUDGE_LABELS[judge], ylim=(0, 1.02))
            panel.set_xticks(range(len(names.HIT_RATES)), [f"HR@{percent}%" for percent in names.HIT_RATES])
            panel.grid(visible=False, axis="x")
        legend_below(figure, axes)
        return image_address(figure)


def _bars(panel: Axes, estimates: Estimates, subject: str, judge: str, offset: float) -> None:
    for x, name in enumerate(names.HIT_RATES.values()):
        found = estimates.get((subject, judge, name))
        if found is None:
            continue
        label = SUBJECT_LABELS[subject] if x == 0 else None
        panel.bar(x + offset, found.value, 0.15, color=SUBJECT_COLOURS[subject], label=label)
        if np.isfinite([found.low, found.high]).all():
            around = [[max(found.value - found.low, 0)], [max(found.high - found.value, 0)]]
            panel.errorbar(x + offset, found.value, around, ecolor=OBSERVED_COLOUR, elinewidth=0.9, capsize=0)


def gain_distribution(gains: Mapping[str, pd.Series]) -> str:
    """Draws the histogram of each subject's gain over the ranking order by request, a panel a subject."""
    values = {subject: gain.dropna().to_numpy(float) for subject, gain in gains.items()}
    everything = np.concatenate([*values.values(), np.zeros(1)])
    edges = np.histogram_bin_edges(everything, bins=40)
    most = 1.05 * max(np.histogram(gain, edges)[0].max() for gain in values.values()) or 1.0
    with drawing(len(values)) as (figure, axes):
        for panel, (subject, gain) in zip(axes, values.items(), strict=True):
            panel.hist(gain, edges.tolist(), color=SUBJECT_COLOURS[subject])
            panel.axvline(0, color=OBSERVED_COLOUR, linewidth=0.9, label="ranking order")
            if len(gain):
                panel.axvline(gain.mean(), color="#D55E00", linewidth=1.4, linestyle="--", label="mean gain")
            panel.set(
                title=SUBJECT_LABELS[subject],
                xlabel="clicks a list over the ranking order",
                ylabel="requests",
            )
            panel.xaxis.set_major_locator(MaxNLocator(6))
            panel.set_ylim(0, most)
        legend_below(figure, axes)
        return image_address(figure)


def value_by_slot(slot_values: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    """Draws the mean value of each slot of every subject's lists, a panel a judge.

    Args:
        slot_values: By judge and subject, the expected clicks of each slot.
    """
    with drawing(len(slot_values)) as (figure, axes):
        for panel, (judge, by_subject) in zip(axes, slot_values.items(), strict=True):
            for subject, values in by_subject.items():
                panel.plot(
                    range(1, len(values) + 1),
                    values,
                    marker="o",
                    color=SUBJECT_COLOURS[subject],
                    label=SUBJECT_LABELS[subject],
                )
            panel.set(title=JUDGE_LABELS[judge], xlabel="slot", ylabel="expected clicks")
            panel.xaxis.set_major_locator(MaxNLocator(integer=True))
            panel.set_ylim(bottom=0)
        legend_below(figure, axes)
        return image_address(figure)


def judge_agreement(correlations: Mapping[str, pd.Series]) -> str:
    """Draws how the rank correlation of every two judges is spread over requests."""
    with drawing(1) as (figure, axes):
        known = {pair: values.dropna().to_numpy(float) for pair, values in correlations.items()}
        axes[0].boxplot(
            list(known.values()),
            orientation="horizontal",
            widths=0.5,
            showfliers=False,
            whis=(5, 95),
            medianprops={"color": "#D55E00", "linewidth": 1.8},
            boxprops={"color": OBSERVED_COLOUR},
        )
        axes[0].axvline(0, color=MUTED_COLOUR, linewidth=0.9)
        axes[0].set_yticks(range(1, len(known) + 1), list(known))
        axes[0].set(
            title="agreement of judges", xlabel="rank correlation within a request", xlim=(-1.02, 1.02)
        )
        axes[0].grid(visible=False, axis="y")
        return image_address(figure)
