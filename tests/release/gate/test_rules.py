"""Each rule's limit and distance, worked out in the test; the rules together are in test_decision.py."""

from dataclasses import replace

import numpy as np
import pytest

from degre_pipeline.release.gate.evidence import Evidence, Judged, VersionFacts
from degre_pipeline.release.gate.rules import (
    against_reference,
    comparisons,
    enough,
    floors,
    guardrails,
    non_inferiority,
    superiority,
    time_forward,
)
from degre_pipeline.reranker.metrics import bootstrap

CHALLENGER = VersionFacts(2, "run 2", "2026-01-20", "2026-01-30", 0, latency_ms=3.0, size_bytes=300)
CHAMPION = replace(CHALLENGER, version=1, origin="run 1", latency_ms=2.0, size_bytes=200)
VALUES = np.array([1.0, 2.0, 3.0, 2.0])
"""The champion's clicks a list; 2 in the mean."""


@pytest.fixture
def config(gate_config):
    """Margins that binary fractions hold exactly: an interval may lie exactly at its limit."""
    return replace(
        gate_config,
        least_requests=2,
        least_users=2,
        bootstrap_samples=100,
        non_inferiority_margin=0.25,
        guardrail_margin=0.5,
        reference_margin=0.125,
        latency_ratio=1.5,
        size_ratio=1.25,
    )


def evidence(**changed) -> Evidence:
    facts = {
        "slice_first_day": "2026-01-31",
        "challenger": CHALLENGER,
        "champion": CHAMPION,
        "reference": None,
        "differing_lists": 0,
        "differing_shapes": 0,
        "outdated_lists": 0,
        "judged": {"truth": Judged(VALUES, VALUES)},
        "user": np.arange(4),
        "users": {},
        "reservations": (),
        "figures": [],
    }
    return Evidence(**facts | changed)


@pytest.mark.parametrize(
    ("last_day", "days", "verdict", "distance"),
    [("2026-01-28", 3, "pass", 2), ("2026-01-30", 1, "pass", 0), ("2026-01-31", 0, "refuse", -1)],
)
def test_days_between_training_and_slice_by_hand(last_day, days, verdict, distance) -> None:
    alone = evidence(challenger=replace(CHALLENGER, training_last_day=last_day), champion=None)
    (found,) = time_forward(alone)

    assert (found.verdict, found.measured, found.limit, found.distance) == (verdict, days, 1, distance)


@pytest.mark.parametrize(
    ("loss", "verdict", "distance"),
    [(0.25, "pass", 0.25), (0.5, "pass", 0.0), (0.625, "refuse", -0.125)],
)
def test_a_challenger_may_lose_a_share_of_the_champions_mean(config, loss, verdict, distance) -> None:
    """A quarter of 2 clicks is half a click; every request loses alike, so the interval has no width."""
    judged = Judged(VALUES - loss, VALUES)
    found = non_inferiority("truth", judged, evidence(), config)

    assert (found.limit, found.measured, found.low, found.high) == (-0.25 * 2, -loss, -loss, -loss)
    assert (found.verdict, found.distance) == (verdict, distance)


@pytest.mark.parametrize(("sufficient", "looks"), [("superior", 30), ("non_inferior", 1)])
def test_a_gain_that_is_asked_for_shares_its_error_among_the_looks(config, sufficient, looks) -> None:
    asked = replace(config, sufficient=sufficient, superiority_looks=30)
    judged = Judged(VALUES + np.array([0.5, 1.0, 0.25, 0.75]), VALUES)
    found = superiority("truth", judged, evidence(), asked)
    expected = bootstrap(
        np.array([0.5, 1.0, 0.25, 0.75]), samples=100 * looks, seed=asked.seed, confidence=1 - 0.05 / looks
    )

    assert (found.measured, found.low, found.high) == (0.625, expected.low, expected.high)
    assert (found.verdict, found.limit) == ("pass", 0.0)


@pytest.mark.parametrize(
    ("loss", "verdicts"),
    [
        ([2.0, 2.0, 0.5, 0.5], {"new": "pass", "old": "pass"}),
        ([2.25, 2.25, 0.5, 0.5], {"new": "refuse", "old": "pass"}),
        ([2.0, 2.0, 0.75, 0.75], {"new": "pass", "old": "refuse"}),
    ],
)
def test_a_group_may_lose_a_share_of_its_own_mean(config, loss, verdicts) -> None:
    """New users click 4 times a list and old ones once: half of that is 2 and 0.5."""
    champion = np.array([4.0, 4.0, 1.0, 1.0])
    judged = Judged(champion - np.array(loss), champion)
    is_new = np.array([True, True, False, False])
    found = list(guardrails("truth", judged, evidence(users={"new": is_new, "old": ~is_new}), config))

    assert [one.limit for one in found] == [-0.5 * 4, -0.5 * 1]
    assert dict(zip(("new", "old"), [one.verdict for one in found], strict=True)) == verdicts
    assert [one.measured for one in found] == [-loss[0], -loss[2]]


@pytest.mark.parametrize(("loss", "verdict"), [(0.25, "pass"), (0.375, "refuse")])
def test_a_challenger_may_lose_a_share_of_the_best_champion_of_late(config, loss, verdict) -> None:
    """An eighth of 2 clicks is a quarter of a click."""
    best = replace(CHAMPION, version=0)
    judged = {"truth": Judged(VALUES - loss, VALUES - 1, VALUES)}
    (found,) = against_reference(evidence(reference=best, judged=judged), config)

    assert (found.verdict, found.limit, found.measured) == (verdict, -0.125 * 2, -loss)


@pytest.mark.parametrize(
    ("last_day", "verdicts"),
    [("2026-01-29", ["pass"]), ("2026-01-30", ["pass"]), ("2026-01-31", ["skipped"])],
)
def test_a_best_champion_that_learned_from_the_slice_is_no_reference(config, last_day, verdicts) -> None:
    best = replace(CHAMPION, version=0, training_last_day=last_day)
    judged = {"truth": Judged(VALUES, VALUES, VALUES)}
    found = against_reference(evidence(reference=best, judged=judged), config)

    assert [one.verdict for one in found] == verdicts


def test_latency_and_size_are_multiples_of_the_champions(config) -> None:
    found = {one.rule: one for one in comparisons(evidence(), config)}

    # 3 ms over 2 ms is exactly what is allowed; 300 bytes over 200 are more than 1.25.
    assert (found["latency"].measured, found["latency"].verdict) == (3.0 / 2.0, "pass")
    assert (found["size"].measured, found["size"].verdict) == (300 / 200, "hold")
    assert (found["latency"].distance, found["size"].distance) == (1.5 - 1.5, 1.25 - 1.5)


def test_a_multiple_of_nothing_is_unknown_and_waits_for_a_person(config) -> None:
    untimed = evidence(champion=replace(CHAMPION, latency_ms=0.0))
    found = {one.rule: one for one in comparisons(untimed, config)}

    assert (found["latency"].verdict, found["latency"].measured) == ("hold", None)


def test_a_judge_that_valued_no_list_of_the_champion_refuses(config) -> None:
    """The margin of nothing is nothing, and no difference is known."""
    for champion in (None, np.full(4, np.nan)):
        found = non_inferiority("truth", Judged(VALUES, champion), evidence(), config)
        assert (found.verdict, found.limit) == ("refuse", 0.0)
        assert "4 of 4 differences are not finite" in found.reason


def test_the_margin_is_of_the_values_that_are_known(config) -> None:
    champion = np.array([1.0, np.nan, 3.0, 5.0])
    found = non_inferiority("truth", Judged(VALUES, champion), evidence(), config)

    assert (found.verdict, found.limit) == ("refuse", -0.25 * (1 + 3 + 5) / 3)


def test_a_sample_says_how_many_requests_and_users_it_has(config) -> None:
    found = enough("truth", Judged(VALUES, None), evidence(user=np.array([5, 5, 6, 7])), config)

    assert (found.verdict, found.reason) == ("pass", "4 requests of 3 users")


def figures(**changed: float) -> list[dict[str, object]]:
    """Figures exactly at their floors, unless a test says otherwise."""
    named = {
        ("external_evaluator", "clicks", "pcoc"): changed.get("external", 0.75),
        ("mining_evaluator", "clicks", "pcoc"): changed.get("mining", 1.5),
        ("generator", "truth", "hr1"): changed.get("hr1", 0.25),
        ("generator", "truth", "utility_over_ranking_order"): changed.get("gain", 0.125),
    }
    # The value of a gain is not its lower end: only the lower end may decide.
    return [
        {
            "subject": subject,
            "judge": judge,
            "metric": metric,
            "value": value + (9 if metric.startswith("utility") else 0),
            "low": value,
            "high": value + 99,
        }
        for (subject, judge, metric), value in named.items()
    ]


@pytest.mark.parametrize(
    ("changed", "refused"),
    [
        ({}, set()),
        ({"external": 0.7}, {"calibration"}),
        ({"external": 1.6}, {"calibration"}),
        ({"mining": 1.6}, {"calibration"}),
        ({"hr1": 0.2}, {"hit_rate"}),
        ({"gain": 0.1}, {"ranking_order"}),
    ],
)
def test_floors_hold_at_their_limits_and_not_below(config, changed, refused) -> None:
    asked = replace(config, pcoc_low=0.75, pcoc_high=1.5, least_hr1=0.25, least_gain=0.125)
    found = list(floors(evidence(figures=figures(**changed)), asked))

    assert {one.rule for one in found if one.verdict == "refuse"} == refused
    assert {one.verdict for one in found} <= {"pass", "refuse"}


@pytest.mark.parametrize(
    ("changed", "rule"),
    [
        ({"challenger": replace(CHALLENGER, invalid_lists=1)}, "validity"),
        ({"differing_lists": 1}, "parity"),
        ({"differing_shapes": 1}, "parity"),
        ({"outdated_lists": 1}, "evaluation"),
    ],
)
def test_a_single_wrong_list_refuses(config, changed, rule) -> None:
    asked = replace(config, pcoc_low=0.75, pcoc_high=1.5, least_hr1=0.25, least_gain=0.125)
    (found,) = [
        one for one in floors(evidence(figures=figures(), **changed), asked) if one.verdict == "refuse"
    ]

    assert (found.rule, found.measured, found.limit, found.distance) == (rule, 1, 0, -1)
