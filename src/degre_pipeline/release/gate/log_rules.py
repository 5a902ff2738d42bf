"""Rules about what the log and its clicks can say of the challenger, whatever the judges say."""

from collections.abc import Iterator
from dataclasses import replace

from degre_pipeline.judging import names
from degre_pipeline.release.gate.evidence import Evidence
from degre_pipeline.release.gate.findings import Finding, at_least, at_most
from degre_pipeline.release.gate.gate_config import GateConfig

AT_RANDOM = 0.99
"""Entropy of slots from which lists count as shown at random: a judge can then value all lists alike."""


def log_rules(evidence: Evidence, config: GateConfig) -> Iterator[Finding]:
    """Yields whether the log can answer for the challenger's lists, and whether its clicks speak for them."""
    yield support(evidence, config)
    yield replay(evidence, config)
    for judge in evidence.judged:
        yield optimism(judge, evidence, config)
        gain = evidence.figure(names.GENERATOR, judge, names.UTILITY_OVER_EXPOSED, "low")
        yield at_least(
            "shown_lists", f"gain on the shown lists by {judge}, lower end", gain, config.least_gain
        )
    if names.EXTERNAL in evidence.judged:
        yield random_lists(evidence, config)


def support(evidence: Evidence, config: GateConfig) -> Finding:
    """Returns whether the log shows items in the slots that the challenger puts them in.

    Where it does not, judges only guess what these lists are worth. The logged clicks, which favour the shown
    order, must then speak for the challenger's order; otherwise it is for a person to say.
    """
    about = "slots whose item's rank the log shows there"
    share = evidence.figure(names.GENERATOR, names.LOGGED_CLICKS, names.SUPPORTED_SLOTS)
    found = at_least("support", about, share, config.least_support, otherwise="hold")
    gain = evidence.figure(names.GENERATOR, names.LOGGED_CLICKS, names.ORDER_OVER_SHOWN, "low")
    if found.verdict == "pass" or gain is None or gain <= 0:
        return found
    reason = f"{found.reason}; but the logged clicks stand higher in its order (at least {gain:+.4f} in NDCG)"
    return replace(found, verdict="pass", reason=reason)


def replay(evidence: Evidence, config: GateConfig) -> Finding:
    """Returns whether the logged clicks are about as high in the challenger's order as in the shown one."""
    gain = evidence.figure(names.GENERATOR, names.LOGGED_CLICKS, names.ORDER_OVER_SHOWN, "low")
    about = "NDCG of logged clicks over the shown order, lower end"
    return at_least("replay", about, gain, -config.replay_margin, otherwise="hold")


def optimism(judge: str, evidence: Evidence, config: GateConfig) -> Finding:
    """Returns whether the miner values mined lists about as highly as a judge does.

    By how much it overrates exposed lists is deducted, because that is a matter of calibration.
    """
    more = {subject: _ratio(evidence, subject, judge) for subject in (names.BEAM, names.EXPOSED)}
    beyond = None if None in more.values() else more[names.BEAM] / more[names.EXPOSED] - 1  # type: ignore[operator]
    about = f"mined lists, share that the miner expects more than {judge}"
    return at_most("optimism", about, beyond, config.most_optimism, otherwise="hold")


def _ratio(evidence: Evidence, subject: str, judge: str) -> float | None:
    miner, other = (evidence.figure(subject, name, names.UTILITY) for name in (names.MINING, judge))
    return miner / other if miner is not None and other else None


def random_lists(evidence: Evidence, config: GateConfig) -> Finding:
    """Returns whether the judge values shown lists above random ones; one that does not knows no order."""
    about = "shown over random lists by external, lower end"
    gain = evidence.figure(names.EXPOSED, names.EXTERNAL, names.UTILITY_OVER_RANDOM, "low")
    entropy = evidence.figure(names.LOG, names.LOG, names.SLOT_ENTROPY)
    if entropy is not None and entropy >= AT_RANDOM:
        return Finding("random_lists", about, "skipped", "the log shows lists at random", measured=gain)
    return at_least("random_lists", about, gain, config.least_over_random)
