"""How the simulated shop changes from day to day: items that come and go, and fashions."""

from dataclasses import replace

import numpy as np

from degre_pipeline.simulation.click_world import FloatArray, IntArray
from degre_pipeline.simulation.shop import PRICE_SPREAD, Shop, ShopConfig, build_shop, quality_of

_ITEM_STREAM, _FASHION_STREAM = 2, 3


def shop_on(config: ShopConfig, day: int) -> Shop:
    """Returns the shop as it is on a day, which depends on its settings and that day alone.

    Args:
        config: With `item_lifetime` 0 and `taste_drift` 0 the shop is the same on every day.
        day: Ordinal of the date.
    """
    shop = build_shop(config)
    if config.item_lifetime:
        shop = _with_items_of(shop, day)
    if config.taste_drift:
        shop = replace(shop, user_taste=shop.user_taste + _fashion(config, day)[shop.user_segment])
    return shop


def _with_items_of(shop: Shop, day: int) -> Shop:
    """Returns the shop with the items of a day.

    Each has a place, which it leaves to another one of its category. The places take turns, so that every day
    brings about `items / item_lifetime` new ones.
    """
    config = shop.config
    place = np.arange(config.items)
    generation = (day + place * config.item_lifetime // config.items) // config.item_lifetime
    brand, own_quality, relative_price = _drawn(config, place, generation)
    price = np.exp(shop.category_price[shop.item_category] + PRICE_SPREAD * relative_price)
    return replace(
        shop,
        item_id=generation * config.items + place + 1,
        item_brand=brand,
        item_price=np.round(price, 2),
        item_relative_price=relative_price,
        item_quality=quality_of(config, shop.brand_quality[brand], own_quality),
    )


def _drawn(
    config: ShopConfig, place: IntArray, generation: IntArray
) -> tuple[IntArray, FloatArray, FloatArray]:
    """Returns brand, own quality and relative price of the items in some places, each from its own stream."""
    streams = [
        np.random.default_rng((config.seed, _ITEM_STREAM, *which))
        for which in zip(place.tolist(), generation.tolist(), strict=True)
    ]
    brand = np.array([stream.integers(config.brands) for stream in streams])
    normal = np.array([stream.standard_normal(2) for stream in streams])
    return brand, normal[:, 0], normal[:, 1]


def _fashion(config: ShopConfig, day: int) -> FloatArray:
    """Returns the logit that fashion adds for a segment and a category, [segments, categories]."""
    rng = np.random.default_rng((config.seed, _FASHION_STREAM))
    phase = rng.random((config.segments, config.categories))
    wave: FloatArray = (
        config.taste_drift * np.sqrt(2) * np.sin(2 * np.pi * (day / config.taste_period + phase))
    )
    return wave
