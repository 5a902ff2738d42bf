"""Promote, hold for a person, or refuse: the gravest finding decides."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from degre_pipeline.judging import names
from degre_pipeline.release.gate.evidence import Evidence
from degre_pipeline.release.gate.findings import Finding
from degre_pipeline.release.gate.gate_config import GateConfig
from degre_pipeline.release.gate.log_rules import log_rules
from degre_pipeline.release.gate.rules import comparisons, floors, reserved, time_forward

Outcome = Literal["promote", "hold", "refuse"]


@dataclass(frozen=True)
class Decision:
    """What the gate says.

    Attributes:
        outcome: `promote`, `hold` or `refuse`.
        first: Whether there was no champion to compare with.
        decided_by: The finding that decided.
        findings: All of them, in the order of the rules.
        superior_to: Versions that the challenger is better than by every judge, the interval above 0.
    """

    outcome: Outcome
    first: bool
    decided_by: Finding
    findings: Sequence[Finding]
    superior_to: Sequence[int] = ()

    def to_dict(self) -> dict[str, Any]:
        """Returns the decision as JSON can hold it."""
        return {
            "outcome": self.outcome,
            "first": self.first,
            "decided_by": asdict(self.decided_by),
            "findings": [asdict(finding) for finding in self.findings],
            "superior_to": list(self.superior_to),
        }


def decide(evidence: Evidence, config: GateConfig) -> Decision:
    """Applies the rules.

    Nothing is compared when a training window reaches into the slice, or when the champion could not rank it.

    Raises: ValueError: If no judge valued the lists, or one that taught the generator.
    """
    if not evidence.judged or not set(evidence.judged) <= set(names.INDEPENDENT_JUDGES):
        allowed = f"one or more of {', '.join(names.INDEPENDENT_JUDGES)}"
        raise ValueError(f"judges are {sorted(evidence.judged)}; allowed: {allowed}")
    findings = [
        *time_forward(evidence),
        *floors(evidence, config),
        *log_rules(evidence, config),
        *reserved(evidence.reservations),
    ]
    obstacles = [found for found in findings if found.rule == "time_forward" and found.verdict != "pass"]
    if evidence.champion is not None and evidence.champion.problem:
        findings.append(Finding("comparable", "champion", "hold", evidence.champion.problem))
    elif not obstacles:
        findings += comparisons(evidence, config)
    first = evidence.champion is None
    decided_by = deciding(findings, first, config)
    return Decision(outcome_of(findings), first, decided_by, tuple(findings), superior_to(evidence, findings))


def superior_to(evidence: Evidence, findings: Sequence[Finding]) -> tuple[int, ...]:
    """Returns which of the versions that were compared are worse than the challenger by every judge."""
    compared = {"superiority": evidence.champion, "reference": evidence.reference}
    return tuple(
        facts.version
        for rule, facts in compared.items()
        if facts is not None and _all_above_zero([found.low for found in findings if found.rule == rule])
    )


def _all_above_zero(ends: Sequence[float | None]) -> bool:
    return bool(ends) and all(end is not None and end > 0 for end in ends)


def outcome_of(findings: Sequence[Finding]) -> Outcome:
    """Returns the outcome that the gravest finding leads to."""
    verdicts = {found.verdict for found in findings}
    return "refuse" if "refuse" in verdicts else "hold" if "hold" in verdicts else "promote"


def deciding(findings: Sequence[Finding], first: bool, config: GateConfig) -> Finding:
    """Returns the finding that decided: the first of the gravest, or the one on which a promotion rests.

    A promotion rests on the comparison that was closest to its limit; a first one on its floors.
    """
    for verdict in ("refuse", "hold"):
        grave = next((found for found in findings if found.verdict == verdict), None)
        if grave is not None:
            return grave
    if first:
        count = sum(found.verdict == "pass" for found in findings)
        return Finding("first", "challenger", "pass", f"there is no champion, and all {count} floors hold")
    rules = ("superiority",) if config.sufficient == "superior" else ("non_inferiority", "reference")
    compared = [found for found in findings if found.rule in rules and found.distance is not None]
    return min(compared, key=lambda found: found.distance or 0.0)
