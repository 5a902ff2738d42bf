"""What the report says of the generator, a sentence for each judge."""

import math
from typing import NamedTuple

from degre_pipeline.judging import names
from degre_pipeline.reports.numbers import (
    JUDGE_LABELS,
    MODEL_LABELS,
    Estimates,
    interval,
    judges_of_lists,
    number,
    percentage,
)
from degre_pipeline.reranker.metrics import Estimate
from degre_pipeline.reranker.schema import RANKING_SCORE
from degre_pipeline.reranker.support import LEAST_COVERAGE


class Verdict(NamedTuple):
    """A sentence about the generator, and whether it is `good`, `bad` or `open`."""

    tone: str
    sentence: str


def verdicts(estimates: Estimates) -> list[Verdict]:
    """Returns one sentence on the generator's gain for each judge that it was not trained by.

    A judge that never saw the truth is contradicted where the logged clicks, or what the log can support,
    do not bear it out.
    """
    found = []
    for judge in judges_of_lists(estimates):
        gain = estimates.get((names.GENERATOR, judge, names.UTILITY_OVER_RANKING_ORDER))
        if gain is not None and judge != names.MINING:
            doubt = "" if judge == names.TRUTH else _doubt(estimates)
            found.append(
                _verdict(judge, gain, estimates.get((names.RANKING_ORDER, judge, names.UTILITY)), doubt)
            )
    return found


def reference_verdict(estimates: Estimates) -> list[Verdict]:
    """Returns a sentence on how well the mining evaluator orders clicks beside point-wise references.

    None where that is unknown. A search by an evaluator that is not above them finds nothing that they do not
    know.
    """
    gain = estimates.get((names.MINING_EVALUATOR, names.CLICKS, names.GAUC_OVER_REFERENCES))
    found = {
        name: estimates[name, names.CLICKS, names.GAUC]
        for name in (RANKING_SCORE, *names.REFERENCES)
        if (name, names.CLICKS, names.GAUC) in estimates
    }
    if gain is None or not found:
        return []
    best = max(found, key=lambda name: found[name].value)
    own = estimates[names.MINING_EVALUATOR, names.CLICKS, names.GAUC]
    tone = _tone(gain)
    outcome = {
        "good": "better than every point-wise order",
        "bad": "worse than the best point-wise order",
        "open": "no better than the best point-wise order, as far as they tell",
    }[tone]
    doubt = "" if tone == "good" else " Hit rates then say how far judges agree, not what lists are worth."
    return [
        Verdict(
            tone,
            f"The mining evaluator orders the clicks of exposed lists {outcome}: GAUC {number(own.value)}, "
            f"{MODEL_LABELS[best]} {number(found[best].value)}, difference {number(gain.value, signed=True)} "
            f"{interval(gain, signed=True)}.{doubt}",
        )
    ]


def _tone(gain: Estimate) -> str:
    return "good" if gain.low > 0 else "bad" if gain.high < 0 else "open"


def _verdict(judge: str, gain: Estimate, ranking: Estimate | None, doubt: str) -> Verdict:
    tone = _tone(gain)
    outcome = {"good": "beats", "bad": "loses to", "open": "cannot be told apart from"}[tone]
    share = gain.value / ranking.value if ranking is not None and ranking.value > 0 else math.nan
    relative = "" if math.isnan(share) else f" ({percentage(share, 1, signed=True)})"
    by = "In truth" if judge == names.TRUTH else f"By the {JUDGE_LABELS[judge]}"
    figures = (
        f"{number(gain.value, signed=True)} expected clicks a list{relative}, 95% interval "
        f"{interval(gain, signed=True) or 'unknown'}"
    )
    if tone == "good" and doubt:
        return Verdict("open", f"{by}, the generator would gain {figures}. {doubt}")
    return Verdict(tone, f"{by}, the generator {outcome} the ranking order: {figures}.")


def _doubt(estimates: Estimates) -> str:
    """Returns why a judge's gain is not to be believed, by the logged clicks and the log; else nothing."""
    order = estimates.get((names.GENERATOR, names.LOGGED_CLICKS, names.ORDER_OVER_SHOWN))
    if order is None:
        return ""
    figures = f"{number(order.value, signed=True)} {interval(order, signed=True)} in NDCG"
    if order.high < 0:
        return f"The logged clicks disagree: they stand lower in its order than in the shown one, {figures}."
    coverage = estimates.get((names.LOG, names.LOG, names.SLOT_COVERAGE))
    if coverage is not None and coverage.value < LEAST_COVERAGE and order.low <= 0:
        return (
            "The log cannot tell: it hardly shows another order, and its clicks do not speak for this one, "
            f"{figures}."
        )
    return ""
