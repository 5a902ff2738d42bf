from dataclasses import replace
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from degre_pipeline.reranker.schema import Field
from degre_pipeline.sources.field_kinds import in_declared_form
from degre_pipeline.sources.request_log import REQUEST_COLUMNS, RequestLog, conform
from degre_pipeline.sources.request_log_files import RequestLogFilesConfig, read_request_log_files

RUN_DATE = date(2026, 1, 31)
FIELDS = (Field("hour", "numeric", "context"), Field("age", "numeric", "user"), Field("tags", "tags", "item"))


def write(log: RequestLog, folder: Path, file_format: str) -> None:
    for name, table in log.tables():
        path = folder / f"{name}.{file_format}"
        table.to_csv(path, index=False) if file_format == "csv" else table.to_parquet(path, index=False)


@pytest.mark.parametrize("file_format", ["parquet", "csv"])
def test_a_written_log_is_read_back(sound_log: RequestLog, tmp_path: Path, file_format: str) -> None:
    write(sound_log, tmp_path, file_format)

    config = RequestLogFilesConfig(folder=str(tmp_path), format=file_format)
    log = in_declared_form(read_request_log_files(config, RUN_DATE, FIELDS)[0], FIELDS)

    expected = conform(sound_log)
    for name in ("requests", "candidates", "exposures", "users"):
        pd.testing.assert_frame_equal(getattr(log, name), getattr(expected, name), check_dtype=False)
    assert list(log.items["item_id"]) == ["a", "b", "c", "d"]


@pytest.mark.parametrize("file_format", ["parquet", "csv"])
def test_a_table_may_be_a_folder_of_files(sound_log: RequestLog, tmp_path: Path, file_format: str) -> None:
    write(sound_log, tmp_path, file_format)
    whole, folder = tmp_path / f"requests.{file_format}", tmp_path / f"requests.{file_format}.d"
    folder.mkdir()
    for place in range(len(sound_log.requests)):
        part = replace(sound_log, requests=sound_log.requests.iloc[[place]])
        write(part, tmp_path, file_format)
        whole.rename(folder / f"part-{place}.{file_format}")
    folder.rename(whole)

    log, _ = read_request_log_files(RequestLogFilesConfig(folder=str(tmp_path), format=file_format), RUN_DATE)

    pd.testing.assert_frame_equal(
        log.requests.drop(columns="hour"), conform(sound_log).requests[list(REQUEST_COLUMNS)]
    )


def test_an_empty_folder_of_files_is_named(sound_log: RequestLog, tmp_path: Path) -> None:
    write(sound_log, tmp_path, "csv")
    (tmp_path / "items.csv").unlink()
    (tmp_path / "items.csv").mkdir()

    with pytest.raises(FileNotFoundError, match=r"items\.csv is a folder without a \*\.csv file"):
        read_request_log_files(RequestLogFilesConfig(folder=str(tmp_path), format="csv"), RUN_DATE)


def test_own_column_names_are_renamed_in_their_table_alone(sound_log: RequestLog, tmp_path: Path) -> None:
    own = RequestLog(
        requests=sound_log.requests.rename(columns={"requested_at": "at"}),
        candidates=sound_log.candidates.rename(columns={"ranking_score": "score"}),
        exposures=sound_log.exposures.assign(score=1.0),
        users=sound_log.users,
        items=sound_log.items,
    )
    write(own, tmp_path, "parquet")
    renames = {"requests.at": "requested_at", "candidates.score": "ranking_score"}

    log, _ = read_request_log_files(
        RequestLogFilesConfig(folder=str(tmp_path), format="parquet", renames=renames), RUN_DATE
    )

    pd.testing.assert_frame_equal(log.candidates, conform(sound_log).candidates)
    assert "score" in log.exposures.columns


def test_a_missing_file_is_named(sound_log: RequestLog, tmp_path: Path) -> None:
    write(sound_log, tmp_path, "csv")
    (tmp_path / "items.csv").unlink()

    with pytest.raises(FileNotFoundError, match=r"items\.csv does not exist. Required .*'requests\.csv'"):
        read_request_log_files(RequestLogFilesConfig(folder=str(tmp_path), format="csv"), RUN_DATE)


def test_a_missing_column_is_named(sound_log: RequestLog, tmp_path: Path) -> None:
    write(sound_log, tmp_path, "csv")
    sound_log.users.rename(columns={"user_id": "uid"}).to_csv(tmp_path / "users.csv", index=False)

    with pytest.raises(
        ValueError, match=r"users\.csv lacks the column\(s\) \['user_id'\]: it has \['uid', 'age'\]"
    ):
        read_request_log_files(RequestLogFilesConfig(folder=str(tmp_path), format="csv"), RUN_DATE)


@pytest.mark.parametrize(
    ("renames", "message"),
    [
        (
            {"candidates.points": "ranking_score"},
            r"candidates\.csv has no column\(s\) \['points'\] to rename",
        ),
        ({"users.age": "user_id"}, r"users\.csv has more than one column \['user_id'\]"),
    ],
)
def test_bad_renames_are_named(
    sound_log: RequestLog, tmp_path: Path, renames: dict[str, str], message: str
) -> None:
    write(sound_log, tmp_path, "csv")

    with pytest.raises(ValueError, match=message):
        read_request_log_files(
            RequestLogFilesConfig(folder=str(tmp_path), format="csv", renames=renames), RUN_DATE
        )


@pytest.mark.parametrize("file_format", ["parquet", "csv"])
def test_an_unreadable_file_is_named(sound_log: RequestLog, tmp_path: Path, file_format: str) -> None:
    write(sound_log, tmp_path, file_format)
    (tmp_path / f"users.{file_format}").write_text("")

    with pytest.raises(ValueError, match=rf"Cannot read .*users\.{file_format} as {file_format}"):
        read_request_log_files(RequestLogFilesConfig(folder=str(tmp_path), format=file_format), RUN_DATE)


def test_bad_settings_are_named() -> None:
    with pytest.raises(
        ValueError, match=r"format is 'xlsx', allowed is one of \['parquet', 'csv', 'tsv', 'jsonl'\]"
    ):
        RequestLogFilesConfig(folder=".", format="xlsx")
    with pytest.raises(ValueError, match=r"key 'score', allowed is 'table.column'"):
        RequestLogFilesConfig(folder=".", format="csv", renames={"score": "ranking_score"})
