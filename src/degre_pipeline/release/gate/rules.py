"""The gate's rules, each a function from evidence to findings."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date

import numpy as np

from degre_pipeline.judging import names
from degre_pipeline.release.gate.evidence import Evidence, Judged, VersionFacts
from degre_pipeline.release.gate.findings import Finding, Verdict, at_least, at_most, paired, too_few, within
from degre_pipeline.release.gate.gate_config import GateConfig
from degre_pipeline.reranker.metrics import Array


def time_forward(evidence: Evidence) -> Iterator[Finding]:
    """Yields whether the slice begins after the last day that each version learned from."""
    for name, facts in _versions(evidence).items():
        about = f"{name}, version {facts.version}"
        days, reason = _days_between(evidence, facts)
        if days is None:
            yield Finding("time_forward", about, "refuse", reason, limit=1)
            continue
        verdict: Verdict = "pass" if days >= 1 else "refuse"
        yield Finding("time_forward", about, verdict, reason, measured=days, limit=1, distance=days - 1)


def _days_between(evidence: Evidence, facts: VersionFacts) -> tuple[int | None, str]:
    """Returns the days from a version's training to the slice, None where unknown, and a sentence."""
    if facts.training_last_day is None:
        return None, "the days that it learned from are not recorded with the version"
    first, last = (date.fromisoformat(day) for day in (evidence.slice_first_day, facts.training_last_day))
    return (first - last).days, (
        f"it learned from {facts.training_first_day} to {facts.training_last_day}, "
        f"the slice begins on {evidence.slice_first_day}"
    )


def floors(evidence: Evidence, config: GateConfig) -> Iterator[Finding]:
    """Yields the findings that need no champion: what every challenger must reach."""
    lists = max((len(judged.challenger) for judged in evidence.judged.values()), default=0)
    invalid, differing = evidence.challenger.invalid_lists, evidence.differing_lists
    yield at_most("validity", f"{lists} lists, invalid ones", invalid, 0)
    yield at_most("parity", f"{lists} lists, ordered otherwise than by the trained generator", differing, 0)
    shapes = "shapes of requests in which its program gives other lists than the trained generator"
    yield at_most("parity", shapes, evidence.differing_shapes, 0)
    outdated = "lists of the evaluation that are another generator's; evaluate again"
    yield at_most("evaluation", outdated, evidence.outdated_lists, 0)
    for judge, judged in evidence.judged.items():
        yield enough(judge, judged, evidence, config)
    for model in (names.EXTERNAL_EVALUATOR, names.MINING_EVALUATOR):
        ratio = evidence.figure(model, names.CLICKS, names.PCOC)
        about = f"PCOC of the {model.replace('_', ' ')}"
        yield within("calibration", about, ratio, config.pcoc_low, config.pcoc_high)
    for judge in evidence.judged:
        hit_rate = evidence.figure(names.GENERATOR, judge, names.HR1)
        yield at_least("hit_rate", f"HR@1% by {judge}", hit_rate, config.least_hr1)
        gain = evidence.figure(names.GENERATOR, judge, names.UTILITY_OVER_RANKING_ORDER, "low")
        yield at_least(
            "ranking_order", f"gain on the ranking order by {judge}, lower end", gain, config.least_gain
        )


def enough(judge: str, judged: Judged, evidence: Evidence, config: GateConfig) -> Finding:
    """Returns whether a judge valued enough lists to say anything; a list without value refuses."""
    about = f"lists of the challenger valued by {judge}"
    values = np.asarray(judged.challenger, dtype=np.float64)
    unknown = int((~np.isfinite(values)).sum())
    if unknown:
        return Finding("sample", about, "refuse", f"{unknown} of {len(values)} values are not finite")
    shortage = too_few(evidence.user, config)
    reason = shortage or f"{len(values)} requests of {len(np.unique(evidence.user))} users"
    return Finding("sample", about, "hold" if shortage else "pass", reason)


def reserved(reservations: Sequence[str]) -> Iterator[Finding]:
    """Yields why the registry asks for a person, if it does."""
    for reason in reservations:
        yield Finding("registry", "aliases", "hold", reason)


def comparisons(evidence: Evidence, config: GateConfig) -> Iterator[Finding]:
    """Yields how the challenger compares with the champion: value, groups of users, latency, size."""
    champion, challenger = evidence.champion, evidence.challenger
    if champion is None:
        return
    for judge, judged in evidence.judged.items():
        yield non_inferiority(judge, judged, evidence, config)
        yield superiority(judge, judged, evidence, config)
        yield from guardrails(judge, judged, evidence, config)
    yield from against_reference(evidence, config)
    latency = _ratio(challenger.latency_ms, champion.latency_ms)
    yield at_most(
        "latency", "multiple of the champion's median", latency, config.latency_ratio, otherwise="hold"
    )
    size = _ratio(challenger.size_bytes, champion.size_bytes)
    yield at_most("size", "multiple of the champion's files", size, config.size_ratio, otherwise="hold")


def non_inferiority(judge: str, judged: Judged, evidence: Evidence, config: GateConfig) -> Finding:
    """Returns whether the challenger loses at most the margin."""
    limit = -config.non_inferiority_margin * _mean(judged.champion)
    about = f"clicks a list by {judge}"
    return paired("non_inferiority", about, _gain(judged), limit, config, user=evidence.user)


def superiority(judge: str, judged: Judged, evidence: Evidence, config: GateConfig) -> Finding:
    """Returns whether the challenger gains; without a gain it holds, or is skipped if none is needed."""
    about = f"clicks a list by {judge}"
    looks = config.superiority_looks if config.sufficient == "superior" else 1
    gain = _gain(judged)
    found = paired("superiority", about, gain, 0.0, config, user=evidence.user, strictly=True, looks=looks)
    if found.verdict == "pass":
        return found
    if config.sufficient == "superior":
        return replace(found, verdict="hold")
    return replace(found, verdict="skipped", reason=f"{found.reason}; not asked for")


def against_reference(evidence: Evidence, config: GateConfig) -> Iterator[Finding]:
    """Yields whether the challenger loses at most a margin against the best champion of late.

    Each champion may be a little worse than the one before it. This is what keeps the losses from adding up.
    A version that cannot be compared is skipped: it is not what serves.
    """
    best = evidence.reference
    if best is None:
        return
    about = f"version {best.version}, the best champion of {config.reference_days} days"
    days, reason = _days_between(evidence, best)
    if best.problem or days is None or days < 1:
        yield Finding("reference", about, "skipped", best.problem or reason)
        return
    for judge, judged in evidence.judged.items():
        limit = -config.reference_margin * _mean(judged.reference)
        gain = _difference(judged.challenger, judged.reference)
        yield paired(
            "reference", f"clicks a list by {judge}, {about}", gain, limit, config, user=evidence.user
        )


def guardrails(judge: str, judged: Judged, evidence: Evidence, config: GateConfig) -> Iterator[Finding]:
    """Yields whether each group of users loses at most the margin; a small group is skipped."""
    for group, rows in evidence.users.items():
        about = f"clicks a list by {judge}, {group} users"
        shortage = too_few(evidence.user[rows], config)
        if shortage:
            yield Finding("guardrail", about, "skipped", shortage)
            continue
        part = Judged(judged.challenger[rows], None if judged.champion is None else judged.champion[rows])
        limit = -config.guardrail_margin * _mean(part.champion)
        yield paired("guardrail", about, _gain(part), limit, config, user=evidence.user[rows])


def _versions(evidence: Evidence) -> dict[str, VersionFacts]:
    named = {"challenger": evidence.challenger}
    return named if evidence.champion is None else {**named, "champion": evidence.champion}


def _gain(judged: Judged) -> Array:
    return _difference(judged.challenger, judged.champion)


def _difference(one: Array, other: Array | None) -> Array:
    known = np.full(len(one), np.nan) if other is None else other
    difference: Array = np.asarray(one, dtype=np.float64) - known
    return difference


def _mean(values: Array | None) -> float:
    """Returns the mean of the finite values; the rule itself refuses the others."""
    finite = np.asarray([] if values is None else values, dtype=np.float64)
    finite = finite[np.isfinite(finite)]
    return float(finite.mean()) if len(finite) else 0.0


def _ratio(one: float, other: float) -> float:
    return one / other if other > 0 else float("nan")
