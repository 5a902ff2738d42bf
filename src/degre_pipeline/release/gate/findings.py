"""What a single rule says of a figure: one limit, one verdict, and by how much."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from degre_pipeline.release.gate.gate_config import GateConfig
from degre_pipeline.reranker.metrics import Array, bootstrap

Verdict = Literal["pass", "skipped", "hold", "refuse"]
"""From harmless to grave. A skipped rule does not apply, or no setting asks for it."""


@dataclass(frozen=True)
class Finding:
    """What one rule says of one thing.

    Attributes:
        rule: Its name.
        about: What it was applied to: a version, a judge, a group of users.
        verdict: `pass`, `skipped`, `hold` or `refuse`.
        reason: Why, in a sentence.
        measured: The figure; None where there is none.
        low: Lower end of its 95% interval; None where it is no estimate.
        high: Upper end.
        limit: What the figure was held against.
        distance: How far it is on the good side of the limit, below zero on the bad one.
    """

    rule: str
    about: str
    verdict: Verdict
    reason: str
    measured: float | None = None
    low: float | None = None
    high: float | None = None
    limit: float | None = None
    distance: float | None = None


def at_least(
    rule: str, about: str, measured: float | None, limit: float, *, otherwise: Verdict = "refuse"
) -> Finding:
    """Returns whether a figure reaches a limit; one that is missing or not finite does not."""
    return within(rule, about, measured, limit, math.inf, otherwise=otherwise)


def at_most(
    rule: str, about: str, measured: float | None, limit: float, *, otherwise: Verdict = "refuse"
) -> Finding:
    """Returns whether a figure stays within a limit; one that is missing or not finite does not."""
    return within(rule, about, measured, -math.inf, limit, otherwise=otherwise)


def within(
    rule: str, about: str, measured: float | None, low: float, high: float, *, otherwise: Verdict = "refuse"
) -> Finding:
    """Returns whether a figure lies between two limits; one that is missing or not finite does not."""
    if measured is None or not math.isfinite(measured):
        reason = f"the figure is unknown; allowed: {_allowed(low, high)}"
        return Finding(rule, about, otherwise, reason, limit=low if math.isfinite(low) else high)
    distance = min(measured - low, high - measured)
    return Finding(
        rule,
        about,
        "pass" if distance >= 0 else otherwise,
        f"{measured:.4g}; allowed: {_allowed(low, high)}",
        measured=measured,
        limit=low if measured - low <= high - measured else high,
        distance=distance,
    )


def _allowed(low: float, high: float) -> str:
    if math.isinf(high):
        return f"at least {low:.4g}"
    return f"at most {high:.4g}" if math.isinf(low) else f"{low:.4g} to {high:.4g}"


def paired(
    rule: str,
    about: str,
    differences: Array,
    limit: float,
    config: GateConfig,
    *,
    user: NDArray[np.int64],
    strictly: bool = False,
    looks: int = 1,
) -> Finding:
    """Returns whether a mean paired difference is above a limit, by its bootstrap interval over users.

    Passes when the whole interval reaches the limit, refuses when the whole interval is below it, and holds
    when the limit lies within, because the data do not tell. It also holds where requests or users are too
    few, see `too_few`.
    A difference that is not finite refuses: leaving it out would hide what went wrong.

    Args:
        rule: Name of the rule.
        about: What was compared.
        differences: Challenger less champion, a number a request, [r].
        limit: What the mean must reach.
        config: `least_requests`, `least_users`, `bootstrap_samples` and `seed`.
        user: Number of each request's user, [r].
        strictly: Whether the interval must be above the limit, not at it.
        looks: How many such comparisons share the interval's 5% of error.
    """
    unknown = int((~np.isfinite(differences)).sum())
    if unknown:
        reason = f"{unknown} of {len(differences)} differences are not finite"
        return Finding(rule, about, "refuse", reason, limit=limit)
    shortage = too_few(user, config)
    if shortage:
        return Finding(rule, about, "hold", shortage, limit=limit)
    estimate = bootstrap(
        differences,
        units=user,
        samples=config.bootstrap_samples * looks,  # as many resamples beyond an end as with one look
        seed=config.seed,
        confidence=1 - 0.05 / looks,
    )
    reached = estimate.low > limit if strictly else estimate.low >= limit
    verdict: Verdict = "pass" if reached else "refuse" if estimate.high < limit else "hold"
    where = {"pass": "is above", "refuse": "is below", "hold": "reaches below"}[verdict]
    return Finding(
        rule,
        about,
        verdict,
        f"the interval [{estimate.low:+.4g}, {estimate.high:+.4g}] {where} {limit:+.4g}",
        measured=estimate.value,
        low=estimate.low,
        high=estimate.high,
        limit=limit,
        distance=(estimate.high if verdict == "refuse" else estimate.low) - limit,
    )


def too_few(user: NDArray[np.int64], config: GateConfig) -> str:
    """Returns why requests of these users say too little; empty where they are enough.

    The interval of few requests is too short (that of one has no width at all), and so is that of few users,
    whose requests are alike.
    """
    users = len(np.unique(user))
    if len(user) < config.least_requests:
        return f"{len(user)} requests say too little; needed: {config.least_requests}"
    return f"{users} users say too little; needed: {config.least_users}" if users < config.least_users else ""
