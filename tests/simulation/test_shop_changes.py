"""The shop from day to day: the same where nothing changes, and else items that come and go, and fashions."""

from dataclasses import fields, replace
from itertools import pairwise

import numpy as np

from degre_pipeline.simulation.shop import ShopConfig, build_shop
from degre_pipeline.simulation.shop_changes import shop_on
from degre_pipeline.simulation.shop_day import shown_instead, simulate_day

DAY = 739_000
STILL = ShopConfig(users=50, items=40, requests_per_day=400)


def test_a_shop_without_changes_is_the_same_on_every_day() -> None:
    one, other = build_shop(STILL), shop_on(STILL, DAY)

    for field in fields(one):
        assert np.array_equal(getattr(one, field.name), getattr(other, field.name)), field.name


def test_every_item_is_there_for_its_lifetime_and_every_day_brings_its_share() -> None:
    config = replace(STILL, item_lifetime=10)
    days = [set(shop_on(config, DAY + day).item_id.tolist()) for day in range(21)]

    assert {len(day - before) for before, day in pairwise(days)} == {4}
    assert all(len(day) == 40 for day in days)
    assert not days[0] & days[10]
    appearances = {item: sum(item in day for day in days) for item in days[10]}
    assert max(appearances.values()) == 10


def test_an_item_stays_what_it_is_and_its_place_keeps_the_category() -> None:
    config = replace(STILL, item_lifetime=10)
    one, other = shop_on(config, DAY), shop_on(config, DAY + 3)
    same = one.item_id == other.item_id

    assert 0 < same.sum() < 40
    for name in ("item_quality", "item_brand", "item_price", "item_relative_price"):
        assert np.array_equal(getattr(one, name)[same], getattr(other, name)[same]), name
        assert not np.array_equal(getattr(one, name)[~same], getattr(other, name)[~same]), name
    assert np.array_equal(one.item_category, other.item_category)


def test_new_items_are_as_good_as_the_old_ones() -> None:
    config = replace(ShopConfig(), item_lifetime=10)
    qualities = np.concatenate([shop_on(config, DAY + 10 * turn).item_quality for turn in range(10)])

    assert abs(qualities.mean() - build_shop(ShopConfig()).item_quality.mean()) < 0.15
    assert abs(qualities.std() / config.item_quality - 1) < 0.1


def test_fashion_comes_back_after_its_period_and_is_as_strong_as_asked() -> None:
    config = replace(ShopConfig(), taste_drift=0.7, taste_period=30)
    still = build_shop(ShopConfig()).user_taste
    added = np.stack([shop_on(config, DAY + day).user_taste - still for day in range(31)])

    assert np.allclose(added[0], added[30])
    assert abs(added[:30].std() - 0.7) < 0.01
    assert np.abs(added[15] - added[0]).max() > 1


def test_other_lists_change_the_answers_where_the_shop_did_not_explore() -> None:
    shop = build_shop(replace(STILL, exploration=0.3))
    log = simulate_day(shop, DAY)
    lists = np.argsort(log.ranking_score, axis=1)[:, : shop.config.list_length]

    seen = shown_instead(shop, log, lists)

    assert 0.2 < log.explored.mean() < 0.4
    assert np.array_equal(seen.exposed[log.explored], log.exposed[log.explored])
    assert np.array_equal(seen.exposed[~log.explored], lists[~log.explored])
    assert (seen.conversions <= seen.clicks).all()
    assert seen.clicks[~log.explored].mean() < log.clicks[~log.explored].mean(), "the worst ranked come first"
    again = shown_instead(shop, log, lists)
    assert np.array_equal(seen.clicks, again.clicks)
