"""The rules together, on made-up evidence in which everything is well unless a test says otherwise."""

import json
from dataclasses import replace

import numpy as np
import pytest

from degre_pipeline.release.gate.decision import decide
from degre_pipeline.release.gate.evidence import Evidence, Judged, VersionFacts
from degre_pipeline.release.gate.rules import superiority

REQUESTS = 200
CHALLENGER = VersionFacts(
    version=2,
    origin="run 2",
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
        reference=None,
        differing_lists=0,
        differing_shapes=0,
        outdated_lists=0,
        judged={"truth": judged(0.1), "external": judged(0.1, seed=1)},
        user=np.arange(REQUESTS),
        users={"new": is_new, "old": ~is_new},
        reservations=(),
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
        ({"differing_shapes": 1}, "parity"),
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


def with_reference(evidence, gain, **changed):
    """The best champion of late, version 0, against which the challenger has another gain."""
    facts = replace(CHALLENGER, version=0, training_last_day="2026-01-20", **changed)
    judged = {
        name: replace(values, reference=values.challenger - gain) for name, values in evidence.judged.items()
    }
    return replace(evidence, reference=facts, judged=judged)


@pytest.mark.parametrize(("gain", "outcome"), [(0.1, "promote"), (-0.03, "promote"), (-0.06, "refuse")])
def test_a_version_that_beats_the_champion_may_not_lose_more_than_a_margin_to_the_best_one(
    evidence, config, gain, outcome
):
    decision = decide(with_reference(evidence, gain), config)
    assert decision.outcome == outcome
    found = [one for one in decision.findings if one.rule == "reference"]
    assert [one.limit for one in found] == pytest.approx([-0.02 * (2.1 - gain)] * 2, rel=0.01)
    if outcome == "refuse":
        assert decision.decided_by.rule == "reference"
        assert "version 0, the best champion of 90 days" in decision.decided_by.about


@pytest.mark.parametrize(
    "changed",
    [
        {"problem": "it could not rank the slice"},
        {"training_last_day": "2026-01-31"},
        {"training_last_day": None},
    ],
)
def test_a_best_champion_that_cannot_be_compared_is_skipped(evidence, config, changed):
    worse = with_reference(evidence, -1.0)
    decision = decide(replace(worse, reference=replace(worse.reference, **changed)), config)
    assert decision.outcome == "promote"
    assert [found.verdict for found in decision.findings if found.rule == "reference"] == ["skipped"]


def test_a_decision_says_over_which_versions_it_is_a_gain_by_every_judge(evidence, config):
    assert decide(with_reference(evidence, 0.05), config).superior_to == (1, 0)
    assert decide(with_reference(evidence, 0.0), config).superior_to == (1,)
    assert decide(evidence, config).superior_to == (1,)
    split = replace(evidence, judged={**evidence.judged, "external": judged(0.0, seed=1)})
    assert decide(split, config).superior_to == ()
    assert decide(without_champion(evidence), config).superior_to == ()


def test_what_the_registry_asks_a_person_for_is_held(evidence, config):
    decision = decide(replace(evidence, reservations=("it was taken down",)), config)
    assert (decision.outcome, decision.decided_by.rule) == ("hold", "registry")
    assert decision.decided_by.reason == "it was taken down"
    assert len([found for found in decision.findings if found.rule == "non_inferiority"]) == 2


@pytest.mark.parametrize(("looks", "most"), [(1, 0.08), (30, 0.01)])
def test_a_gain_that_is_none_is_claimed_less_often_where_many_days_look_for_it(evidence, config, looks, most):
    """A single look claims one in forty; thirty together do."""
    strict = replace(config, sufficient="superior", superiority_looks=looks, bootstrap_samples=60)
    rng, claims = np.random.default_rng(0), 0
    for _ in range(200):
        champion = rng.normal(2, 0.1, REQUESTS)
        noise = Judged(champion + rng.normal(0, 0.05, REQUESTS), champion)
        claims += superiority("truth", noise, evidence, strict).verdict == "pass"
    assert claims / 200 <= most
    assert looks > 1 or claims > 0


@pytest.mark.parametrize(
    "judges", [{}, {"mining": judged(0.1)}, {"truth": judged(0.1), "mining": judged(0.1)}]
)
def test_the_evaluator_that_taught_the_generator_is_no_judge(evidence, config, judges):
    with pytest.raises(ValueError, match=r"judges are .*; allowed: one or more of truth, external"):
        decide(replace(evidence, judged=judges), config)


@pytest.mark.parametrize("judge", ["truth", "external"])
def test_one_independent_judge_is_enough(evidence, config, judge):
    decision = decide(replace(evidence, judged={judge: evidence.judged[judge]}), config)
    assert (decision.outcome, decision.superior_to) == ("promote", (1,))


def test_a_decision_is_json(evidence, config):
    decision = decide(evidence, config)
    written = json.loads(json.dumps(decision.to_dict(), allow_nan=False))
    assert written["outcome"] == "promote"
    assert len(written["findings"]) == len(decision.findings)
