"""The rows of the metrics file, found by name and written as people read them."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from degre_pipeline.judging import names
from degre_pipeline.reranker.metrics import Estimate
from degre_pipeline.reranker.schema import RANKING_SCORE

SUBJECT_LABELS = {
    names.GENERATOR: "generator",
    names.BEAM: "beam search",
    names.RANKING_ORDER: "ranking order",
    names.EXPOSED: "exposed list",
    names.RANDOM: "random list",
}
"""The subjects in the order of reading."""

JUDGE_LABELS = {
    names.TRUTH: "truth",
    names.EXTERNAL: "external evaluator",
    names.MINING: "mining evaluator",
}
"""The judges of lists, the most trustworthy first."""

MODEL_LABELS = {
    names.MINING_EVALUATOR: "mining evaluator",
    names.EXTERNAL_EVALUATOR: "external evaluator",
    names.TRUE_MODEL: "true model",
    RANKING_SCORE: "ranking score",
    names.FACTOR_MODEL: "factor model",
    names.ITEM_MEAN: "click rate of the item",
}

MISSING = "-"
Estimates = Mapping[tuple[str, str, str], Estimate]


def estimates_of(metrics: Iterable[Mapping[str, Any]]) -> Estimates:
    """Returns every known figure by (subject, judge, metric); an unknown bound is NaN.

    Args:
        metrics: Rows {subject, judge, metric, value, low, high}; rows without a value are left out.
    """
    found = {}
    for row in metrics:
        figure = (row.get(name) for name in ("value", "low", "high"))
        value, low, high = (math.nan if part is None else float(part) for part in figure)
        if not math.isnan(value):
            found[str(row["subject"]), str(row["judge"]), str(row["metric"])] = Estimate(value, low, high)
    return found


def judges_of_lists(estimates: Estimates) -> list[str]:
    """Returns the judges that valued lists, the most trustworthy first."""
    present = {judge for _, judge, metric in estimates if metric == names.UTILITY}
    return [judge for judge in JUDGE_LABELS if judge in present]


def subjects_of(estimates: Estimates) -> list[str]:
    """Returns the subjects whose lists were valued, in the order of reading."""
    present = {subject for subject, _, metric in estimates if metric == names.UTILITY}
    return [subject for subject in SUBJECT_LABELS if subject in present]


def logged_subjects(estimates: Estimates) -> list[str]:
    """Returns the subjects that logged clicks speak of, in the order of reading, the simple ones last."""
    present = {
        subject for subject, judge, metric in estimates if (judge, metric) == (names.LOGGED_CLICKS, names.MRR)
    }
    return [*(name for name in SUBJECT_LABELS if name in present), *sorted(present - set(SUBJECT_LABELS))]


def subject_label(subject: str) -> str:
    """Returns how a subject is called; one that orders by a feature alone is named after it."""
    if subject == names.ITEM_MEAN:
        return "click rate of the item"
    return SUBJECT_LABELS.get(subject, f"click rate by {subject.removeprefix(names.BY_FEATURE)}")


def regret_removed(estimates: Estimates, subject: str) -> float:
    """Returns the share of the ranking order's regret that the subject's lists avoid; NaN where unknown.

    1 is the true best list, 0 the ranking order, below 0 worse than the ranking order.
    """
    regret, ranking = (
        estimates.get((name, names.TRUTH, names.REGRET)) for name in (subject, names.RANKING_ORDER)
    )
    if regret is None or ranking is None or ranking.value <= 0:
        return math.nan
    return 1 - regret.value / ranking.value


def number(value: float, digits: int = 3, *, signed: bool = False) -> str:
    """Returns a number with that many decimals, `MISSING` for NaN."""
    if math.isnan(value):
        return MISSING
    return f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"


def percentage(share: float, digits: int = 0, *, signed: bool = False) -> str:
    """Returns a share as a percentage, `MISSING` for NaN."""
    return MISSING if math.isnan(share) else number(100 * share, digits, signed=signed) + "%"


def interval(estimate: Estimate | None, digits: int = 3, *, signed: bool = False) -> str:
    """Returns "[low, high]", and nothing where a bound is unknown."""
    if estimate is None or math.isnan(estimate.low) or math.isnan(estimate.high):
        return ""
    low, high = (number(bound, digits, signed=signed) for bound in (estimate.low, estimate.high))
    return f"[{low}, {high}]"
