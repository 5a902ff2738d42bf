"""Days of the shop: before a champion as its own policy shows them, after it as the champion does."""

from dataclasses import replace
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest

from degre_pipeline.experiments.living_shop_config import LivingShopConfig
from degre_pipeline.pipelines.living_shop.nodes import live_through, tell_story
from degre_pipeline.release.promotion import promote
from degre_pipeline.serving.model.example_requests import example_requests
from degre_pipeline.serving.model.packaging import log_reranker
from degre_pipeline.simulation.shop_changes import shop_on
from degre_pipeline.simulation.shop_day import simulate_day
from degre_pipeline.sources.request_log_files import RequestLogFilesConfig, read_request_log_files
from small_run import RUN
from small_shop import SHOP, Shop, small_generator

LIVING = replace(SHOP, requests_per_day=80, item_lifetime=10, taste_drift=0.5)
CONFIG = LivingShopConfig(opens="2026-02-02", days_before=2, bootstrap_samples=50)
TABLES = ("requests", "candidates", "exposures", "users", "items")


def live(run_date: str, config: LivingShopConfig = CONFIG) -> dict[str, dict[str, pd.DataFrame]]:
    return dict(zip((*TABLES, "figures"), live_through(LIVING, config, run_date, "reranker"), strict=True))


@pytest.fixture
def champions(registry: mlflow.MlflowClient, shop: Shop) -> mlflow.MlflowClient:
    """Versions 1 and 2, of 2 and 3 February, each the champion after the other."""
    space = shop.feature_space
    for version, day in ((1, "2026-02-02"), (2, "2026-02-03")):
        generator = small_generator(shop.feature_space, seed=version)
        with mlflow.start_run():
            examples = example_requests(shop.lists.head(3), shop.feature_tables, space)
            logged = log_reranker(generator, space, examples, name="reranker", metadata={})
            tags = {"run_date": day, "gate_outcome": "promote"}
            mlflow.register_model(logged.model_uri, "reranker", tags=tags)
        promote(registry, "reranker", version, who="a test", why="its turn")
    return registry


def test_the_first_day_brings_the_days_before_it(registry) -> None:
    first = live("2026-02-02")

    days = ["2026-01-31", "2026-02-01", "2026-02-02"]
    for name in ("requests", "candidates", "exposures", "items", "figures"):
        assert list(first[name]) == days, name
    assert list(first["users"]) == days[:1]
    assert [len(first["items"][day]) for day in days] == [40, 4, 4]
    assert set(first["figures"][days[0]]["subject"]) == {"ranking_order", "best"}


def test_what_it_writes_is_a_log_that_can_be_read(registry, tmp_path) -> None:
    parts = [live(day) for day in ("2026-02-02", "2026-02-03")]
    for name in TABLES:
        (tmp_path / f"{name}.parquet").mkdir()
        for part in parts:
            for day, table in part[name].items():
                table.to_parquet(tmp_path / f"{name}.parquet" / f"{day}.parquet")

    config = RequestLogFilesConfig(folder=str(tmp_path), format="parquet", days=3)
    log, _ = read_request_log_files(config, pd.Timestamp("2026-02-03").date())

    assert len(log.requests) == 3 * 80
    assert len(log.items) == 40 + 4 + 4 + 4
    assert set(log.exposures["item_id"]) <= set(log.items["item_id"])


def test_from_then_on_the_champion_of_an_earlier_day_serves(champions) -> None:
    pages = {}
    for day, champion in (("2026-02-03", 1), ("2026-02-04", 2)):
        lived = live(day)
        figures = lived["figures"][day].set_index("subject")

        assert figures.loc["champion", "version"] == champion
        assert figures.loc["frozen", "version"] == 1
        gain = figures.loc["champion", "clicks"] - figures.loc["frozen", "clicks"]
        assert figures.loc["champion_over_frozen", "clicks"] == pytest.approx(gain)
        assert figures.loc["best", "clicks"] > figures["clicks"].drop("best").max()
        assert figures.loc["best", "regret_removed"] == pytest.approx(1)
        pages[day] = lived["figures"][day]
    day = pd.Timestamp("2026-02-04").toordinal()
    log = simulate_day(shop_on(LIVING, day), day)
    shown = lived["exposures"]["2026-02-04"]["candidate_index"].to_numpy(dtype=np.int64).reshape(80, -1)
    assert np.array_equal(shown[log.explored], log.exposed[log.explored]), "exploration goes on"
    assert (shown[~log.explored] != log.exposed[~log.explored]).any(1).mean() > 0.9

    again = live("2026-02-04")
    for name, tables in lived.items():
        assert tables.keys() == again[name].keys()
        for one, table in tables.items():
            pd.testing.assert_frame_equal(table, again[name][one])

    page = tell_story({one: (lambda table=table: table) for one, table in pages.items()}, RUN)
    assert page.count("(new)") == 2, "two versions began to serve"
    assert page.index("2026-02-03") < page.index("2026-02-04")
    assert f"{figures.loc['best', 'clicks']:.4f}" in page


def test_a_day_before_the_first_one_is_refused(registry) -> None:
    with pytest.raises(ValueError, match="run_date is '2026-02-01'; allowed: 2026-02-02, the day"):
        live("2026-02-01")


@pytest.mark.parametrize(
    ("setting", "value"),
    [("opens", "tomorrow"), ("days_before", -1), ("bootstrap_samples", 39), ("seed", -1)],
)
def test_settings_out_of_range_are_named(setting: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{setting} is {value!r}; allowed: "):
        replace(CONFIG, **{setting: value})
