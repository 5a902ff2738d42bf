"""Levels of the arms and lifts between them, for everybody and by group."""

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from degre_pipeline.simulation.click_world import FloatArray, IntArray
from degre_pipeline.simulation.lifts import Interval, level, lift, ratios, totals, user_weights
from degre_pipeline.simulation.online_experiment import ARMS, DEGRE, PRM, RANKING_ORDER, ExperimentConfig

MEASURES: Mapping[str, tuple[str, str]] = {
    "click_through": ("clicks", "slots"),
    "orders": ("orders", "visits"),
    "revenue": ("revenue", "visits"),
}
"""Numerator and denominator: clicks a shown item, orders and revenue a visit."""
GROUPINGS = ("users", "segment", "client")
COMPARISONS = ((PRM, RANKING_ORDER), (DEGRE, RANKING_ORDER), (DEGRE, PRM))
EVERYBODY = "all"
BEFORE = "before"
_QUANTILES = {"latency_median_ms": 0.5, "latency_p99_ms": 0.99}

Row = dict[str, Any]


class Sampled(NamedTuple):
    """An arm's visits, and the weights of its users in each resample.

    Attributes:
        visits: Its rows.
        user: Place of each visit's user among the arm's users, [r].
        weights: Of the users, [1 + s, u].
    """

    visits: pd.DataFrame
    user: IntArray
    weights: FloatArray


def rows_of(outcomes: pd.DataFrame, before: pd.DataFrame, config: ExperimentConfig) -> list[Row]:
    """Returns rows {subject, against, by, group, measure, value, low, high}.

    A row with `against` is a lift, one without it a level of the arm itself. A lift by `before` compares the
    same users in the log before the experiment, when all of them were shown the same.

    Args:
        outcomes: Visits of the experiment with arm, groups and what came of them.
        before: Visits of the log with arm, clicks, slots, orders and revenue.
        config: Of the resampling.
    """
    arms, earlier = _sampled(outcomes, config), _sampled(before, config)
    groups = [(EVERYBODY, EVERYBODY)]
    groups += [(by, str(group)) for by in GROUPINGS for group in sorted(outcomes[by].unique())]
    rows = [row for by, group in groups for row in _of_group(arms, by, group)]
    rows += [row for row in _of_group(earlier, EVERYBODY, EVERYBODY, called=BEFORE) if row["against"]]
    return [*rows, *_counts(arms), *_latencies(arms)]


def _sampled(visits: pd.DataFrame, config: ExperimentConfig) -> dict[str, Sampled]:
    """Returns every arm with its own draw of users."""
    sampled = {}
    for place, arm in enumerate(ARMS):
        arm_visits = visits[visits["arm"] == arm]
        users, user = np.unique(arm_visits["user_id"].to_numpy(), return_inverse=True)
        seed = config.seed * len(ARMS) + place
        weights = user_weights(len(users), samples=config.bootstrap_samples, seed=seed)
        sampled[arm] = Sampled(arm_visits, user, weights)
    return sampled


def _of_group(arms: Mapping[str, Sampled], by: str, group: str, called: str | None = None) -> Iterator[Row]:
    for measure in MEASURES:
        ratios_by_arm = {arm: _ratios(sampled, by, group, measure) for arm, sampled in arms.items()}
        for arm, drawn in ratios_by_arm.items():
            yield _row(arm, None, level(drawn), by=called or by, group=group, measure=measure)
        for arm, control in COMPARISONS:
            compared = lift(ratios_by_arm[arm], ratios_by_arm[control])
            yield _row(arm, control, compared, by=called or by, group=group, measure=measure)


def _ratios(sampled: Sampled, by: str, group: str, measure: str) -> FloatArray:
    """Returns a measure of an arm's visits in a group, as it is and in each resample, [1 + s]."""
    visits = sampled.visits
    inside: NDArray[np.bool_] = np.ones(len(visits), dtype=bool)
    if by != EVERYBODY:
        inside = (visits[by] == group).to_numpy()
    numerator, denominator = (
        totals(sampled.weights, sampled.user[inside], visits[column].to_numpy(dtype=np.float64)[inside])
        for column in MEASURES[measure]
    )
    return ratios(numerator, denominator)


def _counts(arms: Mapping[str, Sampled]) -> Iterator[Row]:
    for arm, sampled in arms.items():
        fallbacks = (sampled.visits["fallback"] != "").mean()
        counts = {"users": sampled.weights.shape[1], "visits": len(sampled.visits), "fallbacks": fallbacks}
        for measure, value in counts.items():
            yield _row(arm, None, Interval(float(value), math.nan, math.nan), measure=measure)


def _latencies(arms: Mapping[str, Sampled]) -> Iterator[Row]:
    for arm, sampled in arms.items():
        for measure, quantile in _QUANTILES.items():
            value = float(sampled.visits["latency_ms"].quantile(quantile))
            yield _row(arm, None, Interval(value, math.nan, math.nan), measure=measure)


def _row(
    arm: str,
    against: str | None,
    interval: Interval,
    *,
    by: str = EVERYBODY,
    group: str = EVERYBODY,
    measure: str,
) -> Row:
    value, low, high = (None if math.isnan(part) else part for part in interval)
    return {
        "subject": arm,
        "against": against,
        "by": by,
        "group": group,
        "measure": measure,
        "value": value,
        "low": low,
        "high": high,
    }


def sentence(row: Row) -> str:
    """Returns a lift in words."""
    low, high = (math.nan if row[end] is None else row[end] for end in ("low", "high"))
    return (
        f"{row['subject']} against {row['against']}: {row['measure'].replace('_', '-')} "
        f"{row['value']:+.2%} [{low:+.2%}, {high:+.2%}]"
    )
