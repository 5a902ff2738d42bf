"""The simulated shop: settings, days that do not depend on the window, and a default world worth learning."""

from dataclasses import fields, replace

import numpy as np
import pytest

from degre_pipeline.simulation.click_world import WORLDS
from degre_pipeline.simulation.optimum import best_lists
from degre_pipeline.simulation.shop import ShopConfig, build_shop
from degre_pipeline.simulation.shop_day import DayLog, simulate_day

DAY = 738_900
SMALL = ShopConfig(users=50, items=40, requests_per_day=200, days=2)


def best_by(scores: np.ndarray, list_length: int) -> np.ndarray:
    return np.argsort(-scores, axis=1)[:, None, :list_length]


OF_EVERY_WORLD = {
    "shop": ShopConfig(requests_per_day=3_000),
    "page": ShopConfig(requests_per_day=500, world="page", satiation=0.5),
    "leaving": ShopConfig(requests_per_day=1_000, world="leaving"),
}


@pytest.fixture(scope="module")
def default_day() -> DayLog:
    return simulate_day(build_shop(OF_EVERY_WORLD["shop"]), DAY)


@pytest.fixture(scope="module", params=WORLDS)
def day(request: pytest.FixtureRequest) -> DayLog:
    return simulate_day(build_shop(OF_EVERY_WORLD[request.param]), DAY)


def test_no_world_is_trivial_or_hopeless(day: DayLog) -> None:
    truth = day.truth
    best = best_lists(truth, 6)[1].mean()
    ranking_loss = 1 - truth.utility(best_by(day.ranking_score, 6)).mean() / best
    stand_alone_loss = 1 - truth.utility(best_by(truth.stand_alone_logits, 6)).mean() / best
    assert 0.10 <= ranking_loss <= 0.30
    assert 0.05 <= stand_alone_loss < ranking_loss
    assert 1.0 <= truth.utility(day.exposed[:, None]).mean() <= 2.0


def test_clicks_follow_the_truth(day: DayLog) -> None:
    probabilities = day.truth.click_probabilities(day.exposed[:, None])[:, 0]
    for low in np.arange(0.0, 0.6, 0.1):
        inside = (probabilities >= low) & (probabilities < low + 0.1)
        error = np.sqrt((probabilities * (1 - probabilities))[inside].sum()) / inside.sum()
        assert abs(day.clicks[inside].mean() - probabilities[inside].mean()) < 4 * error
    residual = day.clicks - probabilities
    assert np.abs(residual.mean(axis=0)).max() < 4 * 0.5 / np.sqrt(len(residual))


def test_purchases_only_where_clicked(default_day: DayLog) -> None:
    assert (default_day.conversions <= default_day.clicks).all()
    assert 0.05 < default_day.conversions.sum() / default_day.clicks.sum() < 0.6


def test_lists_and_candidates_hold_no_item_twice(default_day: DayLog) -> None:
    for rows in (default_day.candidate_item, default_day.exposed):
        assert (np.diff(np.sort(rows, axis=1), axis=1) > 0).all()


def test_candidates_collide_in_few_categories_and_come_unsorted(default_day: DayLog) -> None:
    categories = np.sort(default_day.truth.categories, axis=1)
    assert 4.0 < 1 + (np.diff(categories, axis=1) > 0).sum(axis=1).mean() < 5.5
    logits = default_day.truth.stand_alone_logits
    assert np.ptp(logits.mean(axis=0)) < 0.15 * logits.std()


def test_exploration_is_the_share_of_lists_that_ignore_the_score() -> None:
    for exploration, expected in ((0.0, 1.0), (0.25, 0.75)):
        config = ShopConfig(requests_per_day=2_000, exploration=exploration, logging_noise=0.0)
        day = simulate_day(build_shop(config), DAY)
        by_score = (day.exposed == best_by(day.ranking_score, 6)[:, 0]).all(axis=1).mean()
        assert by_score == pytest.approx(expected, abs=0.05)


def test_ranking_noise_is_the_error_of_the_score() -> None:
    day = simulate_day(build_shop(ShopConfig(ranking_noise=0.3, requests_per_day=500)), DAY)
    assert np.std(day.ranking_score - day.truth.stand_alone_logits) == pytest.approx(0.3, rel=0.05)


def test_a_day_is_the_same_whatever_was_simulated_before() -> None:
    shop = build_shop(SMALL)
    alone = simulate_day(shop, DAY)
    simulate_day(shop, DAY - 1)
    again = simulate_day(build_shop(SMALL), DAY)
    for field in fields(DayLog):
        if field.name != "truth":
            np.testing.assert_array_equal(getattr(alone, field.name), getattr(again, field.name))
    assert not np.array_equal(alone.candidate_item, simulate_day(shop, DAY + 1).candidate_item)


def test_the_seed_changes_world_and_days() -> None:
    other = build_shop(ShopConfig(users=50, items=40, requests_per_day=200, days=2, seed=8))
    assert not np.array_equal(other.user_taste, build_shop(SMALL).user_taste)


def test_smallest_shop() -> None:
    config = ShopConfig(
        users=1,
        items=1,
        categories=1,
        segments=1,
        brands=1,
        requests_per_day=1,
        days=1,
        candidates=1,
        list_length=1,
        item_quality=0.0,
    )
    shop = build_shop(config)
    assert simulate_day(shop, 1).exposed.tolist() == [[0]]
    assert shop.item_rating().tolist() == [3.5]


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("users", 0, "users is 0; allowed are whole numbers from 1 "),
        ("requests_per_day", 2_000_000, "requests_per_day is 2000000; .* to 1000000"),
        ("items", 11, "items is 11; .* from 12"),
        ("candidates", 5, "candidates is 5; .* from 6 to 20"),
        ("days", 1.5, "days is 1.5; allowed are whole numbers"),
        ("exploration", 1.1, "exploration is 1.1; allowed are numbers from 0 to 1"),
        ("satiation", -0.1, "satiation is -0.1"),
        ("ranking_noise", float("nan"), "ranking_noise is nan"),
        ("seed", -1, "seed is -1"),
    ],
)
def test_wrong_settings_are_named(setting: str, value: float, message: str) -> None:
    with pytest.raises(ValueError, match=f"ShopConfig.{message}"):
        ShopConfig(**{setting: value})  # type: ignore[arg-type]


def test_an_unknown_world_is_named() -> None:
    with pytest.raises(ValueError, match=r"ShopConfig\.world is 'moon'; allowed are shop, page, leaving"):
        ShopConfig(world="moon")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"ShopConfig\.world is 'page'; allowed is shop with one_choice"):
        ShopConfig(world="page", complement_bonus=0.0, one_choice=True)


def test_a_day_before_the_calendar_is_refused() -> None:
    with pytest.raises(ValueError, match="day is 0; allowed are date ordinals from 1"):
        simulate_day(build_shop(SMALL), 0)


SEARCH = ShopConfig(
    users=50,
    items=60,
    requests_per_day=4_000,
    candidates=8,
    list_length=3,
    satiation=0.0,
    complement_bonus=0.0,
    slot_penalty=0.0,
    logging_noise=0.0,
    exploration=0.0,
    touched_share=0.6,
    one_choice=True,
)


def test_a_search_is_shown_in_the_order_of_its_score_and_ends_with_one_click_at_most() -> None:
    day = simulate_day(build_shop(SEARCH), DAY)
    np.testing.assert_array_equal(day.exposed, np.argsort(-day.ranking_score, axis=1)[:, :3])
    assert day.clicks.sum(axis=1).max() == 1
    assert not day.explored.any()


def test_the_choices_of_a_search_follow_its_truth() -> None:
    for config in (SEARCH, replace(SEARCH, slot_penalty=0.5)):
        day = simulate_day(build_shop(config), DAY)
        probabilities = day.truth.click_probabilities(day.exposed[:, None])[:, 0]
        error = np.sqrt((probabilities * (1 - probabilities)).sum(axis=0)) / len(day.clicks)
        assert (np.abs(day.clicks.mean(axis=0) - probabilities.mean(axis=0)) < 4 * error).all()
    chances = 1 / (1 + np.exp(-day.truth.stand_alone_logits.astype(float)))
    np.testing.assert_allclose(chances.sum(axis=1), 1.0, rtol=1e-5)


def test_what_a_user_has_touched_is_wanted_more_and_the_score_does_not_know_it() -> None:
    config = replace(SEARCH, one_choice=False)
    day, without = (
        simulate_day(build_shop(one), DAY) for one in (config, replace(config, touched_share=0.0))
    )
    assert day.touched.sum(axis=1).max() == 1
    assert 0.55 < day.touched.any(axis=1).mean() < 0.65
    np.testing.assert_array_equal(day.ranking_score, without.ranking_score)
    np.testing.assert_allclose(
        day.truth.stand_alone_logits - without.truth.stand_alone_logits, 2.2 * day.touched, atol=1e-5
    )


def test_one_choice_allows_no_bonus() -> None:
    with pytest.raises(ValueError, match=r"complement_bonus is 0\.8; allowed is 0 with one_choice"):
        ShopConfig(one_choice=True)
