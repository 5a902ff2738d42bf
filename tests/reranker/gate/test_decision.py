"""The rules together, on made-up evidence in which everything is well unless a test says otherwise."""

import json
from dataclasses import replace

import numpy as np
import pytest

from degre_pipeline.reranker.gate.decision import decide
from degre_pipeline.reranker.gate.evidence import Evidence, Judged, VersionFacts

REQUESTS = 200
CHALLENGER = VersionFacts(
    version=2,
    training_first_day="2026-01-20",
    training_last_day="2026-01-30",
    invalid_lists=0,
    latency_ms=4.0,
    size_bytes=1000,
)
CHAMPION = replace(CHALLENGER, version=1, training_first_day="2026-01-19", training_last_day="2026-01-29")


def figures(**changed):
    values = {"external_evaluator": 1.02, "mining_evaluator": 0.97, "hr1": 0.6, "gain": 0.05, **changed}
    named = [(model, "clicks", "pcoc", values[model]) for model in ("external_evaluator", "mining_evaluator")]
    for judge in ("truth", "external"):
        named.append(("generator", judge, "hr1", values["hr1"]))
        named.append(("generator", judge, "utility_over_ranking_order", values["gain"]))
        named.append(("generator", judge, "utility_over_exposed", values["gain"]))
        named += [(subject, judge, "utility", 1.0) for subject in ("beam", "exposed")]
    named += [(subject, "mining", "utility", 1.0) for subject in ("beam", "exposed")]
    named.append(("generator", "logged_clicks", "supported_slots", 1.0))
    named.append(("generator", "logged_clicks", "order_over_shown", 0.01))
    named.append(("exposed", "external", "utility_over_random", 0.1))
    columns = ("subject", "judge", "metric", "value", "low", "high")
    return [dict(zip(columns, (*row, row[-1], row[-1]), strict=True)) for row in named]


def judged(gain, seed=0):
    """Values whose mean is 2 for the champion; the challenger's differ by the gain and a little noise."""
    drawn = np.random.default_rng(seed)
    champion = 2 + 0.1 * drawn.standard_normal(REQUESTS)
    return Judged(champion + gain + 0.01 * drawn.standard_normal(REQUESTS), champion)


@pytest.fixture
def evidence():
    """A challenger that is a little better by both judges; a quarter of the users is new."""
    is_new = np.arange(REQUESTS) % 4 == 0
    return Evidence(
        slice_first_day="2026-01-31",
        challenger=CHALLENGER,
        champion=CHAMPION,
        differing_lists=0,
        outdated_lists=0,
        judged={"truth": judged(0.1), "external": judged(0.1, seed=1)},
        user=np.arange(REQUESTS),
        users={"new": is_new, "old": ~is_new},
        figures=figures(),
    )


@pytest.fixture
def config(gate_config):
    return replace(gate_config, least_requests=40, bootstrap_samples=100)


def without_champion(evidence):
    alone = {judge: Judged(values.challenger, None) for judge, values in evidence.judged.items()}
    return replace(evidence, champion=None, judged=alone)


def test_a_better_challenger_is_promoted_by_its_closest_comparison(evidence, config):
    decision = decide(evidence, config)
    compared = [found for found in decision.findings if found.rule == "non_inferiority"]
    assert (decision.outcome, decision.first) == ("promote", False)
    assert decision.decided_by == min(compared, key=lambda found: found.distance)
    assert decision.decided_by.limit == pytest.approx(-0.01 * 2, rel=0.02)
    assert {found.rule for found in decision.findings} == {
        "time_forward",
        "validity",
        "parity",
        "evaluation",
        "sample",
        "calibration",
        "hit_rate",
        "ranking_order",
        "support",
        "replay",
        "optimism",
        "shown_lists",
        "random_lists",
        "non_inferiority",
        "superiority",
        "guardrail",
        "latency",
        "size",
    }


def test_without_a_champion_only_floors_count_and_it_is_marked_as_first(evidence, config):
    decision = decide(without_champion(evidence), config)
    assert (decision.outcome, decision.first, decision.decided_by.rule) == ("promote", True, "first")
    compared = {"non_inferiority", "superiority", "guardrail", "latency", "size"}
    assert {found.rule for found in decision.findings}.isdisjoint(compared)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"challenger": replace(CHALLENGER, invalid_lists=1)}, "validity"),
        ({"differing_lists": 1}, "parity"),
        ({"outdated_lists": 3}, "evaluation"),
        ({"figures": figures(external_evaluator=0.5)}, "calibration"),
        ({"figures": figures(mining_evaluator=1.5)}, "calibration"),
        ({"figures": figures(external_evaluator=None)}, "calibration"),
        ({"figures": figures(hr1=0.1)}, "hit_rate"),
        ({"figures": figures(gain=-0.01)}, "ranking_order"),
        ({"figures": []}, "calibration"),
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_a_floor_that_is_missed_refuses(evidence, config, changes, rule, first):
    changed = replace(evidence, **changes)
    decision = decide(without_champion(changed) if first else changed, config)
    assert (decision.outcome, decision.decided_by.rule, decision.first) == ("refuse", rule, first)


@pytest.mark.parametrize("last_day", ["2026-01-31", "2026-02-03", None])
@pytest.mark.parametrize("whose", ["challenger", "champion"])
def test_nothing_is_compared_when_a_training_window_reaches_into_the_slice(evidence, config, whose, last_day):
    facts = replace(getattr(evidence, whose), training_last_day=last_day)
    decision = decide(replace(evidence, **{whose: facts}), config)
    assert (decision.outcome, decision.decided_by.rule) == ("refuse", "time_forward")
    assert whose in decision.decided_by.about
    assert "non_inferiority" not in {found.rule for found in decision.findings}


def test_the_day_before_the_slice_is_just_before_it(evidence, config):
    found = next(one for one in decide(evidence, config).findings if one.rule == "time_forward")
    assert (found.verdict, found.measured, found.distance) == ("pass", 1, 0)


@pytest.mark.parametrize("judge", ["truth", "external"])
def test_a_loss_by_any_independent_judge_refuses(evidence, config, judge):
    decision = decide(replace(evidence, judged={**evidence.judged, judge: judged(-0.1)}), config)
    assert (decision.outcome, decision.decided_by.rule) == ("refuse", "non_inferiority")
    assert judge in decision.decided_by.about
    assert decision.decided_by.distance < 0


def test_a_tie_is_enough_unless_a_gain_is_asked_for(evidence, config):
    same = {name: Judged(values.champion, values.champion) for name, values in evidence.judged.items()}
    tied = replace(evidence, judged=same)
    assert decide(tied, config).outcome == "promote"
    strict = decide(tied, replace(config, sufficient="superior"))
    assert (strict.outcome, strict.decided_by.rule, strict.decided_by.high) == ("hold", "superiority", 0.0)
    skipped = [found for found in decide(tied, config).findings if found.rule == "superiority"]
    assert {found.verdict for found in skipped} == {"skipped"}


def test_a_small_loss_within_the_margin_waits_for_a_person_where_a_gain_is_asked_for(evidence, config):
    lossy = replace(evidence, judged={"truth": judged(-0.005), "external": judged(-0.005, seed=1)})
    assert decide(lossy, config).outcome == "promote"
    strict = decide(lossy, replace(config, sufficient="superior"))
    assert (strict.outcome, strict.decided_by.rule) == ("hold", "superiority")
    assert strict.decided_by.high < 0


def test_a_gain_is_promoted_by_superiority_where_it_is_asked_for(evidence, config):
    decision = decide(evidence, replace(config, sufficient="superior"))
    assert (decision.outcome, decision.decided_by.rule) == ("promote", "superiority")
    assert decision.decided_by.low > 0


def test_a_loss_for_new_users_alone_refuses(evidence, config):
    truth = evidence.judged["truth"]
    worse = np.where(evidence.users["new"], truth.challenger - 0.3, truth.challenger)
    changed = replace(evidence, judged={**evidence.judged, "truth": Judged(worse, truth.champion)})
    decision = decide(changed, config)
    assert (decision.outcome, decision.decided_by.rule) == ("refuse", "guardrail")
    assert decision.decided_by.about == "clicks a list by truth, new users"


def test_a_group_of_too_few_requests_is_skipped(evidence, config):
    few = np.arange(REQUESTS) < 3
    decision = decide(replace(evidence, users={"new": few, "old": ~few}), config)
    skipped = [found for found in decision.findings if found.rule == "guardrail" and "new" in found.about]
    assert decision.outcome == "promote"
    assert [found.verdict for found in skipped] == ["skipped", "skipped"]
    assert "3 requests say too little; needed: 40" in skipped[0].reason


@pytest.mark.parametrize(
    ("changes", "rule", "measured"),
    [({"latency_ms": 8.0}, "latency", 2.0), ({"size_bytes": 3000}, "size", 3.0)],
)
def test_a_slower_or_larger_challenger_waits_for_a_person(evidence, config, changes, rule, measured):
    decision = decide(replace(evidence, challenger=replace(CHALLENGER, **changes)), config)
    assert (decision.outcome, decision.decided_by.rule) == ("hold", rule)
    assert decision.decided_by.measured == measured


def test_a_champion_that_cannot_rank_the_slice_leaves_it_to_a_person(evidence, config):
    broken = replace(CHAMPION, problem="it could not rank the slice: KeyError: 'brand'")
    decision = decide(replace(evidence, champion=broken), config)
    assert (decision.outcome, decision.decided_by.rule) == ("hold", "comparable")
    assert "brand" in decision.decided_by.reason


def test_a_list_without_value_is_not_left_out(evidence, config):
    truth = evidence.judged["truth"]
    unknown = np.where(np.arange(REQUESTS) == 7, np.nan, truth.challenger)
    changed = replace(evidence, judged={**evidence.judged, "truth": Judged(unknown, truth.champion)})
    decision = decide(changed, config)
    assert (decision.outcome, decision.decided_by.rule) == ("refuse", "sample")
    assert "1 of 200 values are not finite" in decision.decided_by.reason


def test_one_request_is_left_to_a_person(evidence, config):
    one = {name: Judged(v.challenger[:1], v.champion[:1]) for name, v in evidence.judged.items()}
    users = {group: rows[:1] for group, rows in evidence.users.items()}
    some = replace(evidence, judged=one, user=evidence.user[:1], users=users)
    for asked in (some, without_champion(some)):
        decision = decide(asked, config)
        assert (decision.outcome, decision.decided_by.rule) == ("hold", "sample")
        assert decision.decided_by.reason == "1 requests say too little; needed: 40"


@pytest.mark.parametrize("first", [True, False])
def test_few_users_are_left_to_a_person(evidence, config, first):
    few = replace(evidence, user=np.arange(REQUESTS) % 29)
    decision = decide(without_champion(few) if first else few, config)
    assert (decision.outcome, decision.decided_by.rule) == ("hold", "sample")
    assert decision.decided_by.reason == "29 users say too little; needed: 30"


@pytest.mark.parametrize("unknown", [np.nan, np.inf])
def test_a_first_version_without_values_is_refused(evidence, config, unknown):
    values = np.full(REQUESTS, unknown)
    nothing = {name: Judged(values, None) for name in evidence.judged}
    decision = decide(replace(without_champion(evidence), judged=nothing), config)
    assert (decision.outcome, decision.decided_by.rule) == ("refuse", "sample")
    assert "200 of 200 values are not finite" in decision.decided_by.reason


@pytest.mark.parametrize(
    "judges", [{}, {"mining": judged(0.1)}, {"truth": judged(0.1), "mining": judged(0.1)}]
)
def test_the_evaluator_that_taught_the_generator_is_no_judge(evidence, config, judges):
    with pytest.raises(ValueError, match=r"judges are .*; allowed: one or more of truth, external"):
        decide(replace(evidence, judged=judges), config)


def test_a_decision_is_json(evidence, config):
    decision = decide(evidence, config)
    written = json.loads(json.dumps(decision.to_dict(), allow_nan=False))
    assert written["outcome"] == "promote"
    assert len(written["findings"]) == len(decision.findings)
