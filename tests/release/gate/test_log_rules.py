"""The rules about the log, on made-up figures in which everything is well unless a test says otherwise."""

import numpy as np
import pytest

from degre_pipeline.release.gate.evidence import Evidence, Judged, VersionFacts
from degre_pipeline.release.gate.log_rules import log_rules

FIGURES = {
    ("generator", "logged_clicks", "supported_slots"): 0.95,
    ("generator", "logged_clicks", "order_over_shown"): 0.002,
    ("beam", "mining", "utility"): 2.1,
    ("exposed", "mining", "utility"): 1.6,
    ("beam", "external", "utility"): 2.0,
    ("exposed", "external", "utility"): 1.6,
    ("generator", "external", "utility_over_exposed"): 0.3,
    ("exposed", "external", "utility_over_random"): 0.4,
    ("log", "log", "slot_entropy"): 0.5,
}


def found(config, **changed):
    """The verdict of every rule, with some figures changed, named by their metric."""
    rows = []
    for (subject, judge, metric), figure in FIGURES.items():
        value = changed.get(metric if metric != "utility" else f"{subject}_{judge}", figure)
        if value is not None:
            columns = {"subject": subject, "judge": judge, "metric": metric, "value": value}
            rows.append({**columns, "low": value - 0.01, "high": value + 0.01})
    facts = VersionFacts(1, "run 1", "2026-01-01", "2026-01-02", 0, 1.0, 1)
    names = dict.fromkeys(Evidence.__dataclass_fields__)
    evidence = Evidence(
        **{
            **names,
            "slice_first_day": "2026-01-03",
            "challenger": facts,
            "judged": {"external": Judged(np.ones(5), None)},
            "figures": rows,
        }
    )
    return {finding.rule: finding for finding in log_rules(evidence, config)}


def test_all_is_well(gate_config) -> None:
    assert {finding.verdict for finding in found(gate_config).values()} == {"pass"}


@pytest.mark.parametrize(
    ("rule", "changed", "verdict"),
    [
        ("support", {"supported_slots": 0.3}, "hold"),
        ("support", {"supported_slots": None}, "hold"),
        ("support", {"supported_slots": 0.3, "order_over_shown": 0.02}, "pass"),
        ("support", {"supported_slots": 0.3, "order_over_shown": 0.01}, "hold"),  # its lower end is 0
        ("support", {"supported_slots": 0.3, "order_over_shown": None}, "hold"),
        ("replay", {"order_over_shown": -0.02}, "hold"),
        ("replay", {"order_over_shown": None}, "hold"),
        ("optimism", {"beam_mining": 2.6}, "hold"),
        ("optimism", {"beam_mining": 2.6, "exposed_mining": 2.0}, "pass"),
        ("optimism", {"beam_external": None}, "hold"),
        ("shown_lists", {"utility_over_exposed": -0.1}, "refuse"),
        ("shown_lists", {"utility_over_exposed": None}, "refuse"),
        ("random_lists", {"utility_over_random": -0.1}, "refuse"),
        ("random_lists", {"utility_over_random": -0.1, "slot_entropy": 0.995}, "skipped"),
        ("random_lists", {"utility_over_random": -0.1, "slot_entropy": 0.99}, "skipped"),
        ("random_lists", {"utility_over_random": -0.1, "slot_entropy": 0.98}, "refuse"),
        ("random_lists", {"utility_over_random": -0.1, "slot_entropy": None}, "refuse"),
        ("random_lists", {"utility_over_random": None}, "refuse"),
    ],
)
def test_each_figure_decides_its_rule(gate_config, rule, changed, verdict) -> None:
    assert found(gate_config, **changed)[rule].verdict == verdict


def test_what_lets_unsupported_lists_pass_is_said(gate_config) -> None:
    finding = found(gate_config, supported_slots=0.3, order_over_shown=0.02)["support"]
    assert "0.3; allowed: at least 0.9; but the logged clicks stand higher in its order" in finding.reason


def test_optimism_is_beyond_that_for_shown_lists(gate_config) -> None:
    """Mined lists are overrated 2.5 / 2.0 = 1.25 times, shown ones 1.75 / 1.6 times."""
    measured = found(gate_config, beam_mining=2.5, exposed_mining=1.75)["optimism"].measured
    assert measured == pytest.approx((2.5 / 2.0) / (1.75 / 1.6) - 1)
    assert measured == pytest.approx(0.142857, abs=1e-6)


def test_a_miner_that_expects_less_than_the_judge_is_not_optimistic(gate_config) -> None:
    finding = found(gate_config, beam_mining=1.0)["optimism"]
    assert (finding.verdict, finding.measured) == ("pass", pytest.approx((1.0 / 2.0) / (1.6 / 1.6) - 1))


def test_a_judge_that_expects_nothing_leaves_optimism_to_a_person(gate_config) -> None:
    assert found(gate_config, beam_external=0.0)["optimism"].verdict == "hold"


def test_the_logged_clicks_may_lose_their_margin_and_no_more(gate_config) -> None:
    """The lower end is 0.01 below the value."""
    margin = gate_config.replay_margin
    at, below = (
        found(gate_config, order_over_shown=value)["replay"] for value in (0.0101 - margin, 0.0099 - margin)
    )
    assert (at.verdict, below.verdict) == ("pass", "hold")
    assert at.measured == pytest.approx(0.0001 - margin)
    assert at.limit == -margin


def test_a_rule_cannot_read_a_metric_that_no_evaluation_has() -> None:
    evidence = Evidence(**{**dict.fromkeys(Evidence.__dataclass_fields__), "figures": []})
    with pytest.raises(ValueError, match=r"metric of a rule is 'utilty'; allowed: one of utility, regret"):
        evidence.figure("generator", "truth", "utilty")
