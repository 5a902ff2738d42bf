import logging
from dataclasses import replace
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from degre_pipeline.sources.request_log import RequestLog
from degre_pipeline.sources.request_log_files import RequestLogFilesConfig, read_request_log_files
from degre_pipeline.sources.window import cut_to_window

SECOND_DAY = date(2024, 5, 18)


def test_only_the_window_is_kept_with_all_that_belongs_to_it(sound_log: RequestLog) -> None:
    cut = cut_to_window(sound_log, SECOND_DAY, 1)
    assert cut.requests["request_id"].to_list() == [2]
    assert set(cut.candidates["request_id"]) == set(cut.exposures["request_id"]) == {2}
    pd.testing.assert_frame_equal(cut.items, sound_log.items)


def test_the_day_after_the_run_date_is_not_seen(sound_log: RequestLog) -> None:
    assert cut_to_window(sound_log, date(2024, 5, 17), 12).requests["request_id"].to_list() == [1]


def test_a_longer_window_has_both_days(sound_log: RequestLog) -> None:
    assert cut_to_window(sound_log, SECOND_DAY, 2).requests["request_id"].to_list() == [1, 2]


@pytest.mark.parametrize("empty", [date(2024, 5, 19), date(2024, 5, 16)])
def test_a_day_without_requests_is_named_with_those_that_have_some(
    sound_log: RequestLog, empty: date
) -> None:
    named = rf"run_date is {empty}, a day without requests: the log has 2 from 2024-05-17 to 2024-05-18"
    with pytest.raises(ValueError, match=named):
        cut_to_window(sound_log, empty, 12)


def test_a_missed_day_inside_the_window_is_no_error(sound_log: RequestLog) -> None:
    later = sound_log.requests.assign(requested_at=["2024-05-16 09:30:00", "2024-05-18 21:00:00"])
    cut = cut_to_window(replace(sound_log, requests=later), SECOND_DAY, 3)
    assert cut.requests["request_id"].to_list() == [1, 2]


def test_a_wrong_row_of_another_day_stops_nothing(sound_log: RequestLog, tmp_path: Path) -> None:
    clicks = sound_log.exposures["click"].where(sound_log.exposures["request_id"] == 2, 7)
    broken = replace(sound_log, exposures=sound_log.exposures.assign(click=clicks))
    for name, table in broken.tables():
        table.to_parquet(tmp_path / f"{name}.parquet")
    config = RequestLogFilesConfig(folder=str(tmp_path), format="parquet", days=1)
    assert read_request_log_files(config, SECOND_DAY)[0].requests["request_id"].to_list() == [2]
    with pytest.raises(ValueError, match=r"exposures\.click"):
        read_request_log_files(replace(config, days=2), SECOND_DAY)


def test_rows_of_a_request_of_no_day_are_told(
    sound_log: RequestLog, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "degre_pipeline")
    cut = cut_to_window(replace(sound_log, requests=sound_log.requests.tail(1)), SECOND_DAY, 1)
    assert cut.candidates["request_id"].unique().tolist() == [2]
    assert [record.args[1:] for record in caplog.records] == [("candidates", 1), ("exposures", 1)]


def test_a_row_whose_time_cannot_be_read_is_kept_to_be_named(sound_log: RequestLog) -> None:
    unread = sound_log.requests.assign(requested_at=["soon", "2024-05-18 21:00:00"])
    cut = cut_to_window(replace(sound_log, requests=unread), SECOND_DAY, 1)
    assert cut.requests["request_id"].to_list() == [1, 2]


@pytest.mark.parametrize("days", [-1, "many", 1.5])
def test_wrong_days_are_named(days: object) -> None:
    with pytest.raises(ValueError, match=r"days is .*, allowed is a whole number from 0"):
        RequestLogFilesConfig(folder="x", format="csv", days=days)
