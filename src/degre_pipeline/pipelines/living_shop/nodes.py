"""Lives through a day of the simulated shop: the champion serves, and what came of it is added to the log."""

from collections.abc import Callable, Mapping
from datetime import date, timedelta

import pandas as pd

from degre_pipeline.experiments.day_rows import figures_of
from degre_pipeline.experiments.living_shop_config import LivingShopConfig
from degre_pipeline.experiments.served_lists import lists_of_champions
from degre_pipeline.reranker.checked_settings import require
from degre_pipeline.run_facts import RunFacts
from degre_pipeline.simulation.shop import ShopConfig
from degre_pipeline.simulation.shop_changes import shop_on
from degre_pipeline.simulation.shop_day import shown_instead, simulate_day
from degre_pipeline.sources.request_log import RequestLog, conform
from degre_pipeline.sources.simulated_shop import as_request_log

Partitions = dict[str, pd.DataFrame]
"""Tables by the ISO date of their day."""


def live_through(
    simulated_shop: ShopConfig, config: LivingShopConfig, run_date: str, model_name: str
) -> tuple[Partitions, ...]:
    """Returns requests, candidates, exposures, users, items and figures of the day, each by its date.

    On the first day those of the days before it come along. Users are there on the first day only, items on
    the day on which they arrive. Repeated, a day is what it was: the champion is the last one of an earlier
    day.

    Raises: ValueError: If the day is before the first one.
    """
    day, opens = date.fromisoformat(str(run_date)), date.fromisoformat(config.opens)
    require(day >= opens, "run_date", run_date, f"{opens}, the day on which the shop opens, or later")
    first = opens - timedelta(days=config.days_before)
    days = [first + timedelta(days=past) for past in range((day - first).days)] if day == opens else []
    parts: tuple[Partitions, ...] = ({}, {}, {}, {}, {}, {})
    for one in (*days, day):
        shop = shop_on(simulated_shop, one.toordinal())
        log = simulate_day(shop, one.toordinal())
        tables = conform(as_request_log([(shop, log)]))
        lists = lists_of_champions(model_name, str(one), tables)
        if lists:
            log = shown_instead(shop, log, lists["champion"].lists)
            tables = conform(as_request_log([(shop, log)]))
        written = _new(tables, simulated_shop, one, first)
        figures = figures_of(one, log, lists, config.bootstrap_samples, config.seed)
        for part, table in zip(parts, (*(table for _, table in written.tables()), figures), strict=True):
            if len(table):
                part[str(one)] = table
    return parts


def _new(tables: RequestLog, config: ShopConfig, day: date, first: date) -> RequestLog:
    """Returns the tables without the users and items that the log had before the day."""
    if day == first:
        return tables
    known = shop_on(config, day.toordinal() - 1).item_id
    items = tables.items[~tables.items["item_id"].isin(known)]
    return RequestLog(tables.requests, tables.candidates, tables.exposures, tables.users.head(0), items)


def tell_story(figures: Mapping[str, Callable[[], pd.DataFrame]], run_facts: RunFacts) -> str:
    """Returns the report of all days so far."""
    # Here, because the registry imports this file for every command and matplotlib is slow to import.
    from degre_pipeline.reports.living_shop_page import render_story

    return render_story(pd.concat([figures[day]() for day in sorted(figures)], ignore_index=True), run_facts)
