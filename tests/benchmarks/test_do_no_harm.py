"""Logs without any variation: nothing that is worse than the ranking order in truth may be promoted."""

import json
from collections import Counter
from dataclasses import asdict, replace

import numpy as np
import pytest

from benchmarks import do_no_harm
from degre_pipeline.simulation.shop import build_shop
from degre_pipeline.simulation.shop_day import simulate_day

ROWS = json.loads(do_no_harm.ROWS.read_text("utf-8")) if do_no_harm.ROWS.exists() else []


def test_there_are_twenty_logs_of_seeds_of_their_own_from_2000_to_60000_requests() -> None:
    points = do_no_harm.points()
    assert len({point.seed for point in points}) == len(points) == 20
    assert Counter(point.requests for point in points) == {2000: 10, 6000: 5, 20_000: 3, 60_000: 2}
    assert {point.world for point in points} == set(do_no_harm.WORLDS)


@pytest.mark.parametrize("world", do_no_harm.WORLDS)
def test_every_world_is_shown_in_the_order_of_its_score(world: str) -> None:
    shop = replace(do_no_harm.WORLDS[world], requests_per_day=50)
    day = simulate_day(build_shop(shop), 738_900)
    np.testing.assert_array_equal(day.exposed, np.argsort(-day.ranking_score, axis=1)[:, : shop.list_length])


def test_the_measured_logs_are_these_and_no_promotion_did_harm() -> None:
    measured = [{name: row[name] for name in ("world", "requests", "seed")} for row in ROWS]
    assert measured == [asdict(point) for point in do_no_harm.points()]
    promoted = [row for row in ROWS if row["outcome"] == "promote"]
    assert promoted  # a gate that lets nothing through would pass the next line, too
    assert all(row["true_low"] > 0 for row in promoted)


@pytest.mark.slow
@pytest.mark.parametrize("world", ["slots do not matter", "nothing to find"])
def test_a_small_log_is_not_promoted_to_harm(world: str) -> None:
    row = do_no_harm.measure(do_no_harm.Point(world, requests=2000, seed=7))
    assert row["outcome"] != "promote" or row["true_gain"] >= 0
