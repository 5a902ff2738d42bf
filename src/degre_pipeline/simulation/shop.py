"""The simulated shop: its settings, its users and items, and what a user thinks of an item."""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import isfinite
from typing import Any

import numpy as np

from degre_pipeline.simulation.click_world import WORLDS, FloatArray, IntArray, World

AGE_BANDS = ("18-24", "25-34", "35-49", "50+")
ACTIVITY_BANDS = ("rare", "regular", "frequent")
CLIENTS = ("app", "web", "tablet")
PRICE_LEVELS = ("lowest", "low", "middle", "high", "highest")

_CLIENT_LOGITS = np.array([0.1, -0.15, 0.0])
_AGE_PRICE_SENSITIVITY = np.array([0.3, 0.1, -0.1, -0.3])
_PRICE_LEVEL_EDGES = (-1.2, -0.4, 0.4, 1.2)
_WORLD_STREAM = 0
_BRAND_SHARE = 0.25
PRICE_SPREAD = 0.5
"""Standard deviation of the log price within a category."""


@dataclass(frozen=True)
class ShopConfig:
    """Size, taste and logging policy of a simulated shop; the defaults are the default world.

    Attributes:
        users: Number of users.
        items: Number of items, at least `candidates`.
        categories: Item categories; every odd one is wanted more after the one before it.
        segments: Number of user segments, which share tastes for categories.
        brands: Brands, a quarter of the variance of quality.
        requests_per_day: Requests simulated for each day.
        days: Days of the log, the last one being `run_date`.
        candidates: Candidates handed over per request, n.
        list_length: Items shown, t.
        base_logit: Click logit of an average item at the top of a list.
        segment_taste: Standard deviation of a segment's logit for a category.
        personal_taste: Standard deviation of a user's own deviation from the segment.
        item_quality: Standard deviation of an item's logit for everybody.
        world: What a click depends on: in the `shop` on what stands before, in a `page` world on all other
            items of the list, in a `leaving` world as in the shop, but users look at the next slot only if
            the last item made them stay.
        satiation: Logit lost per item of the same category that stands before; in a `page` world per other.
        complement_bonus: Logit gained when an item of the complementary category stands before; in a `page`
            world anywhere.
        slot_penalty: Logit lost per slot down the list.
        patience: Of a `leaving` world: logit of going on after an item whose click logit is 0.
        interest: Of a `leaving` world: what an item's click logit adds to that.
        retrieval_focus: How closely retrieval follows taste; 0 draws candidates at random.
        ranking_noise: Standard deviation of the ranking score around the stand-alone logit.
        logging_noise: Scale of the Gumbel noise added to the score when choosing what to show.
        exploration: Share of requests that are shown a random list.
        item_lifetime: Days after which another item takes an item's place; 0: never.
        taste_drift: Standard deviation of the logit that fashion adds to a segment's taste for a category.
        taste_period: Days in which a fashion comes, goes and comes back.
        touched_share: Share of requests with a candidate that the user has touched before.
        touched_logit: What that adds to its logit; the ranking score does not know it.
        one_choice: Whether a request ends with one click at most: on the one candidate that its user chooses,
            if it is shown and looked at. Logits are then those of a choice among the candidates.
        seed: Seed of the world and of every day.

    Raises: ValueError naming the setting, its value and what is allowed.
    """

    users: int = 2_000
    items: int = 400
    categories: int = 8
    segments: int = 6
    brands: int = 40
    requests_per_day: int = 10_000
    days: int = 12
    candidates: int = 12
    list_length: int = 6
    base_logit: float = -1.6
    segment_taste: float = 0.7
    personal_taste: float = 0.25
    item_quality: float = 0.75
    world: World = "shop"
    satiation: float = 1.0
    complement_bonus: float = 0.8
    slot_penalty: float = 0.1
    patience: float = 2.5
    interest: float = 0.5
    retrieval_focus: float = 1.5
    ranking_noise: float = 0.55
    logging_noise: float = 0.5
    exploration: float = 0.1
    item_lifetime: int = 0
    taste_drift: float = 0.0
    taste_period: int = 30
    touched_share: float = 0.0
    touched_logit: float = 2.2
    one_choice: bool = False
    seed: int = 7

    def __post_init__(self) -> None:
        """Check every setting."""
        if self.world not in WORLDS:
            raise ValueError(f"ShopConfig.world is {self.world!r}; allowed are {', '.join(WORLDS)}")
        for name, (low, high) in _allowed(self).items():
            value = getattr(self, name)
            whole = isinstance(getattr(type(self), name), int)
            right_type = isinstance(value, int if whole else int | float)
            if not (right_type and low <= value <= high and isfinite(value)):
                kind = "whole numbers" if whole else "numbers"
                raise ValueError(
                    f"ShopConfig.{name} is {value!r}; allowed are {kind} from {low:.7g} to {high:.7g}"
                )
        if self.one_choice and self.world != "shop":
            raise ValueError(f"ShopConfig.world is {self.world!r}; allowed is shop with one_choice")
        if self.one_choice and self.complement_bonus:
            raise ValueError(
                f"ShopConfig.complement_bonus is {self.complement_bonus!r}; allowed is 0 with one_choice: "
                "nothing is clicked more than it is chosen"
            )


def _allowed(config: ShopConfig) -> dict[str, tuple[float, float]]:
    """Lowest and highest value allowed of every setting."""
    unbounded = float("inf")
    numbers = {field.name: (0.0, unbounded) for field in fields(config) if field.name != "world"}
    sizes = ("users", "categories", "segments", "brands", "days", "list_length", "taste_period")
    return (
        numbers
        | dict.fromkeys(sizes, (1.0, unbounded))
        | {
            "base_logit": (-20.0, 20.0),
            "patience": (-20.0, 20.0),
            "requests_per_day": (1, 1_000_000),
            "items": (config.candidates, unbounded),
            "candidates": (config.list_length, 20),
            "exploration": (0.0, 1.0),
            "touched_share": (0.0, 1.0),
            "one_choice": (0, 1),
        }
    )


@dataclass(frozen=True, eq=False)
class Shop:
    """Users and items of the shop; see `shop_changes` for what it is on another day.

    Attributes:
        config: The settings it was built from.
        user_segment: int64 [users].
        user_age_band: Index into `AGE_BANDS`, int64 [users].
        user_activity: Share of all requests, [users].
        user_taste: Logit for every category, [users, categories].
        price_sensitivity: Logit lost per standard deviation of price, [users].
        item_id: Ids from 1, int64 [items].
        item_category: int64 [items].
        item_brand: int64 [items].
        item_price: In currency units, [items].
        item_relative_price: Log price, standardized within its category, [items].
        item_quality: Logit for everybody, [items].
        brand_quality: What a brand adds to the quality of its items, in standard deviations, [brands].
        category_price: Mean log price, [categories].
        complement_of: Category that makes category c more wanted when placed before it, -1 for none,
            int64 [categories].
    """

    config: ShopConfig
    user_segment: IntArray
    user_age_band: IntArray
    user_activity: FloatArray
    user_taste: FloatArray
    price_sensitivity: FloatArray
    item_id: IntArray
    item_category: IntArray
    item_brand: IntArray
    item_price: FloatArray
    item_relative_price: FloatArray
    item_quality: FloatArray
    brand_quality: FloatArray
    category_price: FloatArray
    complement_of: IntArray

    def stand_alone_logits(self, user: IntArray, client: IntArray, item: IntArray) -> FloatArray:
        """Click logit of items for users at the top of a list, in the shape of the broadcast indices.

        Of the context only the client matters; hour and weekday do not.
        """
        taste = self.user_taste[user, self.item_category[item]]
        price = self.price_sensitivity[user] * self.item_relative_price[item]
        return self.config.base_logit + _CLIENT_LOGITS[client] + taste + self.item_quality[item] - price

    def activity_band(self) -> IntArray:
        """Index into `ACTIVITY_BANDS` by thirds of the users, int64 [users]."""
        ranks = self.user_activity.argsort().argsort()
        return ranks * len(ACTIVITY_BANDS) // len(ranks)

    def item_rating(self) -> FloatArray:
        """Visible half-star rating from 1 to 5 that follows the item's quality, [items]."""
        spread = max(self.config.item_quality, 1e-9)
        return np.clip(np.round(2 * (3.5 + 0.75 * self.item_quality / spread)) / 2, 1.0, 5.0)

    def item_price_level(self) -> IntArray:
        """Index into `PRICE_LEVELS` by price among the items of the category, int64 [items]."""
        return np.digitize(self.item_relative_price, _PRICE_LEVEL_EDGES)


def build_shop(config: ShopConfig) -> Shop:
    """Build the users and items of a shop from its seed."""
    rng = np.random.default_rng((config.seed, _WORLD_STREAM))
    return Shop(config, **_draw_users(config, rng), **_draw_items(config, rng))


def _draw_users(config: ShopConfig, rng: np.random.Generator) -> dict[str, Any]:
    segment = rng.integers(config.segments, size=config.users)
    age_band = rng.integers(len(AGE_BANDS), size=config.users)
    activity = rng.lognormal(0.0, 0.7, config.users)
    segment_taste = config.segment_taste * rng.standard_normal((config.segments, config.categories))
    own_taste = config.personal_taste * rng.standard_normal((config.users, config.categories))
    sensitivity = 0.3 + _AGE_PRICE_SENSITIVITY[age_band] + 0.1 * rng.standard_normal(config.users)
    return {
        "user_segment": segment,
        "user_age_band": age_band,
        "user_activity": activity / activity.sum(),
        "user_taste": segment_taste[segment] + own_taste,
        "price_sensitivity": sensitivity,
    }


def _draw_items(config: ShopConfig, rng: np.random.Generator) -> dict[str, Any]:
    """Draw items; categories come in pairs, the second of which is wanted more after the first."""
    brand = rng.integers(config.brands, size=config.items)
    brand_quality = rng.standard_normal(config.brands)
    quality = quality_of(config, brand_quality[brand], rng.standard_normal(config.items))
    numbers = np.arange(config.categories)
    category = rng.permutation(np.arange(config.items) % config.categories)
    relative_price = rng.standard_normal(config.items)
    category_price = rng.uniform(2.5, 4.5, config.categories)
    return {
        "item_id": np.arange(1, config.items + 1),
        "item_category": category,
        "item_brand": brand,
        "item_price": np.round(np.exp(category_price[category] + PRICE_SPREAD * relative_price), 2),
        "item_relative_price": relative_price,
        "item_quality": quality,
        "brand_quality": brand_quality,
        "category_price": category_price,
        "complement_of": np.where(numbers % 2 == 1, numbers - 1, -1),
    }


def quality_of(config: ShopConfig, of_brand: FloatArray, own: FloatArray) -> FloatArray:
    """Returns the logit that items have for everybody; a quarter of its variance is the brand's.

    Args:
        config: With the standard deviation of the result.
        of_brand: Quality of each item's brand, in standard deviations, [items].
        own: What sets each item apart from its brand, in standard deviations, [items].
    """
    quality: FloatArray = np.sqrt(_BRAND_SHARE) * of_brand + np.sqrt(1 - _BRAND_SHARE) * own
    return config.item_quality * quality
