"""The simulated shop as a source: its days turned into request-log tables, with the truth behind them."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from degre_pipeline.simulation.click_world import ClickTruth, concatenate_truths
from degre_pipeline.simulation.shop import (
    ACTIVITY_BANDS,
    AGE_BANDS,
    CLIENTS,
    PRICE_LEVELS,
    Shop,
    ShopConfig,
)
from degre_pipeline.simulation.shop_changes import shop_on
from degre_pipeline.simulation.shop_day import DayLog, simulate_day
from degre_pipeline.sources.request_log import RequestLog, conform


def simulate_request_log(config: ShopConfig, run_date: datetime.date) -> tuple[RequestLog, ClickTruth]:
    """The log of `config.days` days up to and including the run date, and the true model of its clicks.

    A date's rows depend on the configuration and the date, never on the window it is asked for in.
    """
    last = run_date.toordinal()
    days = [_day(config, day) for day in range(last - config.days + 1, last + 1)]
    return conform(as_request_log(days)), concatenate_truths([log.truth for _, log in days])


def as_request_log(days: Sequence[tuple[Shop, DayLog]]) -> RequestLog:
    """Returns the tables of days, each given with the shop of that day; `conform` has yet to check them."""
    return RequestLog(
        requests=pd.concat([_requests(log) for _, log in days], ignore_index=True),
        candidates=pd.concat([_candidates(shop, log) for shop, log in days], ignore_index=True),
        exposures=pd.concat([_exposures(shop, log) for shop, log in days], ignore_index=True),
        users=_users(days[0][0]),
        items=pd.concat([_items(shop) for shop, _ in days]).drop_duplicates("item_id", ignore_index=True),
    )


def _day(config: ShopConfig, day: int) -> tuple[Shop, DayLog]:
    shop = shop_on(config, day)
    return shop, simulate_day(shop, day)


def _requests(day: DayLog) -> pd.DataFrame:
    date = datetime.date.fromordinal(day.day)
    seconds = pd.to_timedelta(day.second_of_day, unit="s")
    return pd.DataFrame(
        {
            "request_id": day.truth.request_id,
            "user_id": day.user + 1,
            "requested_at": pd.Timestamp(date) + seconds,
            "hour": day.second_of_day // 3600,
            "weekday": np.full(len(day.user), date.weekday()),
            "client": _named(CLIENTS, day.client),
            "randomized": day.explored,
        }
    )


def _candidates(shop: Shop, day: DayLog) -> pd.DataFrame:
    requests, width = day.candidate_item.shape
    columns = {
        "request_id": np.repeat(day.truth.request_id, width),
        "candidate_index": np.tile(np.arange(width), requests),
        "item_id": shop.item_id[day.candidate_item.ravel()],
        "ranking_score": day.ranking_score.ravel(),
    }
    if shop.config.touched_share:
        columns["touched"] = day.touched.ravel().astype(np.int64)
    return pd.DataFrame(columns)


def _exposures(shop: Shop, day: DayLog) -> pd.DataFrame:
    requests, length = day.exposed.shape
    item = np.take_along_axis(day.candidate_item, day.exposed, axis=1).ravel()
    return pd.DataFrame(
        {
            "request_id": np.repeat(day.truth.request_id, length),
            "slot": np.tile(np.arange(1, length + 1), requests),
            "item_id": shop.item_id[item],
            "click": day.clicks.ravel(),
            "conversion": day.conversions.ravel().astype(np.float64),
            "price": shop.item_price[item],
        }
    )


def _users(shop: Shop) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "user_id": np.arange(1, shop.config.users + 1),
            "segment": _numbered("segment", shop.user_segment),
            "age_band": _named(AGE_BANDS, shop.user_age_band),
            "activity": _named(ACTIVITY_BANDS, shop.activity_band()),
        }
    )


def _items(shop: Shop) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "item_id": shop.item_id,
            "category": _numbered("category", shop.item_category),
            "brand": _numbered("brand", shop.item_brand),
            "price": shop.item_price,
            "price_level": _named(PRICE_LEVELS, shop.item_price_level()),
            "rating": shop.item_rating(),
        }
    )


def _named(names: Sequence[str], codes: NDArray[np.integer[Any]]) -> NDArray[Any]:
    named: NDArray[Any] = np.array(names, dtype=object)[codes]
    return named


def _numbered(word: str, numbers: NDArray[np.integer[Any]]) -> list[str]:
    return [f"{word}_{number}" for number in numbers]
