"""The results as a plain-text table, for the end of a run on the command line."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from degre_pipeline.judging import names
from degre_pipeline.reports.numbers import (
    MISSING,
    SUBJECT_LABELS,
    Estimates,
    estimates_of,
    interval,
    judges_of_lists,
    number,
    percentage,
    regret_removed,
    subjects_of,
)
from degre_pipeline.reports.verdicts import reference_verdict


def results_table(metrics: Iterable[Mapping[str, Any]]) -> str:
    """Returns one line for each subject: utility, gain over the ranking order, regret removed and HR@1%.

    Before them it says how the evaluator orders clicks beside point-wise references, where that is known.

    Utility is true where the truth is known, else the external evaluator's. Only ASCII, no trailing newline.

    Args:
        metrics: Rows {subject, judge, metric, value, low, high}.
    Raises: ValueError: If no judge valued any list.
    """
    estimates = estimates_of(metrics)
    judges = judges_of_lists(estimates)
    if not judges:
        raise ValueError(
            "metrics hold no row with metric 'utility'; allowed: one or more, from pipeline evaluation"
        )
    judge = judges[0]
    header = ["list", "clicks a list", "gain on ranking order"]
    header += ["regret removed"] if judge == names.TRUTH else []
    header += [f"HR@1% {name}" for name in judges]
    rows = [_row(estimates, subject, judges) for subject in subjects_of(estimates)]
    title = {
        names.TRUTH: "Expected clicks in truth",
        names.EXTERNAL: "Expected clicks by the external evaluator",
    }
    return "\n".join(
        [
            *(f"{verdict.sentence}\n" for verdict in reference_verdict(estimates)),
            title.get(judge, f"Expected clicks by {judge}") + ", with 95% intervals",
            *_aligned([header, *rows]),
        ]
    )


def _row(estimates: Estimates, subject: str, judges: Sequence[str]) -> list[str]:
    judge = judges[0]
    cells = [SUBJECT_LABELS[subject], _cell(estimates, subject, judge, names.UTILITY)]
    cells.append(_cell(estimates, subject, judge, names.UTILITY_OVER_RANKING_ORDER, signed=True))
    if judge == names.TRUTH:
        cells.append(percentage(regret_removed(estimates, subject)))
    return cells + [_cell(estimates, subject, name, names.HR1, bounds=False) for name in judges]


def _cell(
    estimates: Estimates, subject: str, judge: str, metric: str, *, signed: bool = False, bounds: bool = True
) -> str:
    estimate = estimates.get((subject, judge, metric))
    if estimate is None or math.isnan(estimate.value):
        return MISSING
    around = interval(estimate, signed=signed) if bounds else ""
    return f"{number(estimate.value, signed=signed)} {around}".strip()


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Returns the rows with a rule under the first, columns padded to equal width."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    return [lines[0], "-" * max(map(len, lines)), *lines[1:]]
