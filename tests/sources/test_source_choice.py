from datetime import date
from pathlib import Path

import pytest

from degre_pipeline.simulation.shop import ShopConfig
from degre_pipeline.sources.movielens import MovieLensConfig
from degre_pipeline.sources.request_log import CANDIDATE_COLUMNS, EXPOSURE_COLUMNS, RequestLog
from degre_pipeline.sources.request_log_files import RequestLogFilesConfig
from degre_pipeline.sources.source_choice import read_source

SHOP = ShopConfig(users=20, items=40, requests_per_day=15, days=3)


def read(source: str, folder: Path) -> tuple[RequestLog, dict[str, object]]:
    movielens = MovieLensConfig(
        folder=str(folder), variant="sampled_negatives", seed=1, list_length=2, candidates=4
    )
    files = RequestLogFilesConfig(folder=str(folder), format="csv")
    return read_source(source, SHOP, movielens, files, date(2024, 5, 17))[:2]  # type: ignore[return-value]


def test_the_simulated_shop_comes_with_its_truth(tmp_path: Path) -> None:
    log, truth = read("simulated_shop", tmp_path)

    assert len(log.requests) == 45
    assert list(truth["request_id"]) == list(log.requests["request_id"])  # type: ignore[call-overload]
    assert list(log.candidates.columns) == list(CANDIDATE_COLUMNS)
    assert list(log.exposures.columns) == list(EXPOSURE_COLUMNS)


def test_movielens_has_no_truth(movielens_folder: Path) -> None:
    log, truth = read("movielens", movielens_folder)

    assert len(log.requests) == 10
    assert truth == {}


def test_own_files_have_no_truth(sound_log: RequestLog, tmp_path: Path) -> None:
    for name, table in sound_log.tables():
        table.to_csv(tmp_path / f"{name}.csv", index=False)

    log, truth = read("request_log_files", tmp_path)

    assert list(log.requests["user_id"]) == ["ann", "bob"]
    assert truth == {}


def test_an_unknown_source_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"source is 'taobao', allowed is one of \['simulated_shop', 'movielens'"
    ):
        read("taobao", tmp_path)
