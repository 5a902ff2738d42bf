"""The split of users, and that nothing but the true click model answers."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from degre_pipeline.simulation.online_experiment import ARMS, ExperimentConfig, arm_of, draw_outcomes
from degre_pipeline.simulation.shop import ShopConfig, build_shop
from degre_pipeline.simulation.shop_day import purchase_probabilities, simulate_day

CONFIG = ExperimentConfig(days=1, salt="one", old_user_requests=0, bootstrap_samples=40, seed=0)


@pytest.fixture(scope="module")
def shop():
    return build_shop(ShopConfig(users=80, items=60, requests_per_day=4000))


@pytest.fixture(scope="module")
def day(shop):
    return simulate_day(shop, 738_900)


def drawn(shop, day, shown, seed=0):
    return draw_outcomes(shop, day.truth, day.user, day.candidate_item, shown, seed=seed)


def test_a_user_stays_in_an_arm_and_another_salt_splits_otherwise():
    arms = [arm_of(user, "one") for user in range(1, 31)]
    assert arms == [arm_of(user, "one") for user in range(1, 31)]
    # Stored, so that another machine or version cannot split otherwise without being noticed.
    assert arms[:6] == ["ranking_order", "prm", "prm", "degre", "ranking_order", "prm"]
    assert arms != [arm_of(user, "two") for user in range(1, 31)]
    assert arm_of(7, "one") == arm_of(np.int64(7), "one") == arm_of("7", "one")


def test_arms_share_the_users_equally_and_independently_of_another_split():
    users = range(30_000)
    pairs = Counter((arm_of(user, "one"), arm_of(user, "two")) for user in users)
    assert len(pairs) == len(ARMS) ** 2
    assert all(abs(count - 30_000 / 9) < 4 * np.sqrt(30_000 / 9) for count in pairs.values())


def test_clicks_and_orders_follow_the_truth(shop, day):
    came = drawn(shop, day, day.exposed)
    chance = day.truth.click_probabilities(day.exposed[:, None])[:, 0]
    error = np.sqrt((chance * (1 - chance)).sum()) / chance.size
    assert abs(came.clicks.mean() - chance.mean()) < 4 * error
    bought = chance * purchase_probabilities(shop, day.user, day.candidate_item, day.exposed)
    assert abs(came.orders.mean() - bought.mean()) < 4 * np.sqrt((bought * (1 - bought)).sum()) / bought.size
    assert (came.orders <= came.clicks).all()
    price = shop.item_price[np.take_along_axis(day.candidate_item, day.exposed, axis=1)]
    assert np.array_equal(came.revenue, came.orders * price)


def test_what_comes_of_a_list_does_not_depend_on_the_others(shop, day):
    before = drawn(shop, day, day.exposed)
    other = day.exposed.copy()
    other[7] = other[7, ::-1]
    after = drawn(shop, day, other)
    same = np.arange(len(other)) != 7
    for one, two in zip(before, after, strict=True):
        assert np.array_equal(one[same], two[same])
    assert not np.array_equal(before.clicks, drawn(shop, day, day.exposed, seed=1).clicks)


def test_an_empty_slot_earns_nothing(shop, day):
    shorter = day.exposed.copy()
    shorter[:, 2:] = -1
    came = drawn(shop, day, shorter)
    assert came.clicks[:, :2].any()
    assert not any(part[:, 2:].any() for part in came)


def test_the_days_of_the_log_stay_as_they_are(shop, day):
    drawn(shop, day, day.exposed)
    again = simulate_day(shop, 738_900)
    assert np.array_equal(again.clicks, day.clicks)
    assert np.array_equal(again.conversions, day.conversions)


@pytest.mark.parametrize(
    ("name", "value"), [("days", 0), ("bootstrap_samples", 39), ("seed", -1), ("salt", 3)]
)
def test_a_setting_that_is_not_allowed_is_named(name, value):
    with pytest.raises(ValueError, match=f"{name} is {value!r}; allowed"):
        replace(CONFIG, **{name: value})
