"""The same log in every accepted shape gives the same five tables."""

import gzip
import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from degre_pipeline.reranker.schema import Field
from degre_pipeline.sources.request_log import RequestLog, conform
from degre_pipeline.sources.request_log_files import RequestLogFilesConfig, read_request_log_files

RUN_DATE = date(2026, 1, 31)
FIELDS = (
    Field("hour", "numeric", "context"),
    Field("age", "numeric", "user"),
    Field("tags", "tags", "item"),
    Field("ranking_score", "numeric", "score"),
)


def read(folder: Path, fields=FIELDS, **settings) -> RequestLog:
    given = {"format": "csv", **settings}
    return read_request_log_files(RequestLogFilesConfig(folder=str(folder), **given), RUN_DATE, fields)[0]


def impressions_of(log: RequestLog) -> pd.DataFrame:
    """Returns one row for each candidate, with the columns of all tables."""
    shown = log.exposures.drop(columns=[c for c in ("candidate_index",) if c in log.exposures])
    rows = log.candidates.merge(shown, "left", ["request_id", "item_id"])
    rows = rows.merge(log.requests, "left", "request_id")
    rows = rows.merge(log.users, "left", "user_id").merge(log.items, "left", "item_id")
    return rows.drop(columns="candidate_index")


def write(rows: pd.DataFrame, folder: Path, name: str, form: str = "csv") -> None:
    path = folder / f"{name}.{form}"
    if form == "jsonl":
        rows.to_json(path, orient="records", lines=True)
    elif form == "parquet":
        rows.to_parquet(path, index=False)
    else:
        rows.to_csv(path, index=False, sep="\t" if form == "tsv" else ",")


def check_same(found: RequestLog, sound: RequestLog, *tables: str) -> None:
    expected = conform(sound)
    for name in tables:
        one, other = getattr(found, name), getattr(expected, name)
        keys = ("request_id", "candidate_index", "slot", "user_id", "item_id")
        sort = [column for column in keys if column in other][:2]
        one, other = (table.sort_values(sort).reset_index(drop=True) for table in (one, other))
        pd.testing.assert_frame_equal(
            one[sorted(other)].map(_plain), other[sorted(other)].map(_plain), check_dtype=False
        )


def _plain(value: object) -> str:
    if pd.isna(value):
        return ""
    return str(float(str(value))) if str(value).isdigit() else str(value)


@pytest.mark.parametrize("form", ["csv", "tsv", "jsonl", "parquet"])
def test_one_table_of_impressions(sound_log: RequestLog, tmp_path: Path, form: str) -> None:
    write(impressions_of(sound_log), tmp_path, "impressions", form)
    log = read(tmp_path, format=form, shape="impressions", derived=["users", "items"])

    check_same(log, sound_log, "requests", "candidates", "exposures", "users")
    assert log.items["item_id"].tolist() == ["a", "b", "c"]  # "d" was never handed over
    assert log.items["tags"].fillna("").tolist() == ["x|y", "x", ""]


def test_impressions_beside_tables_of_users_and_items(sound_log: RequestLog, tmp_path: Path) -> None:
    rows = impressions_of(sound_log).drop(columns=["age", "tags"])
    for name, table in (("impressions", rows), ("users", sound_log.users), ("items", sound_log.items)):
        write(table, tmp_path, name)

    check_same(read(tmp_path, shape="impressions"), sound_log, "requests", "candidates", "exposures", "users")


@pytest.mark.parametrize(
    ("column", "value", "group"), [("age", 99, "context"), ("hour", 3, "score"), ("tags", "z", "score")]
)
def test_a_value_that_changes_is_no_users_or_items_own(
    sound_log: RequestLog, tmp_path: Path, column: str, value: object, group: str
) -> None:
    rows = impressions_of(sound_log)
    rows = pd.concat([rows, rows.iloc[[0]].assign(request_id=3 if column == "age" else 1, **{column: value})])
    write(rows, tmp_path, "impressions")

    with pytest.raises(
        ValueError, match=rf"impressions disagree on '{column}' of .*is a field of group '{group}'"
    ):
        read(tmp_path, shape="impressions", derived=["users", "items"])


CELLS = {
    "bars": lambda values: "|".join(map(str, values)),
    "JSON": lambda values: json.dumps(list(values)),
    "Python": lambda values: str(list(values)),
}


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_lists_in_cells(sound_log: RequestLog, tmp_path: Path, cell) -> None:
    write(in_cells(sound_log, cell), tmp_path, "requests")
    write(sound_log.users, tmp_path, "users")
    write(sound_log.items, tmp_path, "items")

    check_same(
        read(tmp_path, shape="lists"), sound_log, "requests", "candidates", "exposures", "users", "items"
    )


def test_lists_of_parquet(sound_log: RequestLog, tmp_path: Path) -> None:
    numbers = {"a": 1, "b": 2, "c": 3, "d": 4}
    rows = in_cells(sound_log, list)
    rows = rows.assign(
        **{name: rows[name].map(lambda ids: [numbers[i] for i in ids]) for name in ("candidates", "shown")}
    )
    write(rows, tmp_path, "requests", "parquet")
    write(sound_log.users, tmp_path, "users", "parquet")
    write(
        sound_log.items.replace({"item_id": numbers}).astype({"item_id": "int64"}),
        tmp_path,
        "items",
        "parquet",
    )
    log = read(tmp_path, format="parquet", shape="lists")

    assert log.candidates["item_id"].tolist() == ["1", "2", "3", "2", "3"]
    assert log.items["item_id"].tolist() == ["1", "2", "3", "4"]


def in_cells(log: RequestLog, cell) -> pd.DataFrame:
    handed, shown = log.candidates.groupby("request_id"), log.exposures.groupby("request_id")
    lists = {
        "candidates": handed["item_id"].agg(cell),
        "ranking_scores": handed["ranking_score"].agg(cell),
        "shown": shown["item_id"].agg(cell),
        "clicks": shown["click"].agg(cell),
    }
    return log.requests.join(pd.DataFrame(lists), on="request_id")


def test_lists_of_different_lengths_are_named(sound_log: RequestLog, tmp_path: Path) -> None:
    rows = in_cells(sound_log, CELLS["bars"])
    write(rows.assign(clicks=["1|0", "0"]), tmp_path, "requests")

    with pytest.raises(
        ValueError, match=r"request 2: 'shown' has 2 entries and 'clicks' has 1; allowed: as many"
    ):
        read(tmp_path, shape="lists", derived=["users", "items"])


def test_shown_lists_only(sound_log: RequestLog, tmp_path: Path, caplog) -> None:
    for name in ("requests", "exposures", "users", "items"):
        write(getattr(sound_log, name), tmp_path, name)
    log = read(tmp_path, fields=FIELDS[:3], derived=["candidates"])

    assert log.candidates[["request_id", "candidate_index", "item_id"]].to_numpy().tolist() == [
        [1, 0, "c"],
        [1, 1, "a"],
        [2, 0, "c"],
        [2, 1, "b"],
    ]
    assert "no candidate was ever rejected" in caplog.text


def test_slots_from_zero(sound_log: RequestLog, tmp_path: Path) -> None:
    for name, table in sound_log.tables():
        write(table.assign(slot=table["slot"] - 1) if name == "exposures" else table, tmp_path, name)

    check_same(read(tmp_path, first_slot=0), sound_log, "exposures")
    with pytest.raises(ValueError, match=r"exposures\.slot leaves a gap"):
        read(tmp_path)


def test_texts_as_request_ids(sound_log: RequestLog, tmp_path: Path) -> None:
    keys = {1: "r-ä1", 2: "0f3a"}
    for name, table in sound_log.tables():
        write(table.replace({"request_id": keys}) if "request_id" in table else table, tmp_path, name)
    log, again = read(tmp_path), read(tmp_path)

    numbers = dict(zip(log.requests["request_key"], log.requests["request_id"], strict=True))
    assert set(numbers) == set(keys.values())
    assert all(0 <= number < 2**63 for number in numbers.values())
    assert log.requests.equals(again.requests)
    wanted = sorted(numbers[keys[number]] for number in sound_log.exposures["request_id"])
    assert sorted(log.exposures["request_id"]) == wanted


def test_compressed_json_lines_in_a_folder_by_day(sound_log: RequestLog, tmp_path: Path) -> None:
    rows = impressions_of(sound_log)
    for day, part in rows.groupby(rows["requested_at"].str[:10]):
        folder = tmp_path / "impressions" / f"date={day}"
        folder.mkdir(parents=True)
        with gzip.open(folder / "part-0.jsonl.gz", "wt") as file:
            file.write(part.to_json(orient="records", lines=True))
    log = read(tmp_path, format="jsonl", shape="impressions", derived=["users", "items"])

    check_same(log, sound_log, "requests", "candidates", "exposures")


def test_broken_json_lines_are_named(tmp_path: Path) -> None:
    (tmp_path / "impressions.jsonl").write_text('{"request_id": 1}\n{"request_id": ', "utf-8")
    with pytest.raises(ValueError, match=r"Cannot read .*impressions\.jsonl as jsonl"):
        read(tmp_path, format="jsonl", shape="impressions", derived=["users", "items"])


BAD = {
    "shape": ({"shape": "cube"}, r"shape is 'cube', allowed is one of \['tables', 'impressions', 'lists'\]"),
    "derived": ({"derived": ["requests"]}, r"derived is \['requests'\], allowed are"),
    "candidates of impressions": (
        {"shape": "impressions", "derived": ["candidates"]},
        r"derived is \['candidates'\], allowed are .*users and items",
    ),
    "first slot": ({"first_slot": 2}, r"first_slot is 2, allowed is 0 or 1"),
    "renames": (
        {"shape": "impressions", "renames": {"exposures.position": "slot"}},
        r"key 'exposures.position', allowed is .* with a table of \['impressions', 'users', 'items'\]",
    ),
}


@pytest.mark.parametrize(("settings", "named"), BAD.values(), ids=BAD)
def test_settings_that_are_not_allowed_are_named(settings: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        RequestLogFilesConfig(folder="log", format="csv", **settings)


def test_a_spoilt_row_of_impressions_sets_its_request_aside(sound_log: RequestLog, tmp_path: Path) -> None:
    rows = impressions_of(sound_log)
    rows.loc[(rows["request_id"] == 2) & (rows["slot"] == 1), "click"] = 7
    write(rows, tmp_path, "impressions")
    config = RequestLogFilesConfig(
        folder=str(tmp_path), format="csv", shape="impressions", derived=["users", "items"], may_drop=0.5
    )
    log, set_aside = read_request_log_files(config, RUN_DATE, FIELDS)

    assert log.requests["request_id"].tolist() == [1]
    assert set_aside.to_dict("records") == [{"request_id": 2, "reason": "exposures.click cannot be read"}]


def test_own_names_of_impressions_are_mapped(sound_log: RequestLog, tmp_path: Path) -> None:
    rows = impressions_of(sound_log).rename(columns={"slot": "position", "item_id": "banner"})
    write(rows, tmp_path, "impressions")
    renames = {"impressions.position": "slot", "impressions.banner": "item_id"}
    log = read(tmp_path, shape="impressions", derived=["users", "items"], renames=renames)

    check_same(log, replace(sound_log), "exposures", "candidates")


UNITS = {"seconds": 10**0, "milliseconds": 10**3, "microseconds": 10**6, "nanoseconds": 10**9}


@pytest.mark.parametrize("form", ["csv", "parquet"])
@pytest.mark.parametrize(("unit", "a_second"), UNITS.items())
def test_times_as_numbers(sound_log: RequestLog, tmp_path: Path, unit: str, a_second: int, form: str) -> None:
    seconds = [1715938200, 1716066000]  # 2024-05-17 09:30 and 2024-05-18 21:00 UTC
    requests = sound_log.requests.assign(requested_at=[second * a_second for second in seconds])
    for name, table in replace(sound_log, requests=requests).tables():
        write(table, tmp_path, name, form)

    check_same(read(tmp_path, format=form, time_unit=unit), sound_log, "requests")


def test_times_of_another_unit_are_named(sound_log: RequestLog, tmp_path: Path) -> None:
    for times, named in (
        ([1715938200000000, 1716066000], r"holds 1715938200000000, which is no time in seconds"),
        (
            ["2024-05-17", "2024-05-18"],
            r"holds '2024-05-17'; allowed with time_unit 'seconds': numbers of seconds",
        ),
    ):
        for name, table in replace(
            sound_log, requests=sound_log.requests.assign(requested_at=times)
        ).tables():
            write(table, tmp_path, name)
        with pytest.raises(ValueError, match=named):
            read(tmp_path, time_unit="seconds")


@pytest.mark.parametrize("name", ["requests", "candidates", "exposures", "users", "items"])
def test_rows_that_were_delivered_twice_are_dropped_where_that_is_asked_for(
    sound_log: RequestLog, tmp_path: Path, caplog, name: str
) -> None:
    for own, table in sound_log.tables():
        write(pd.concat([table, table.iloc[[1]]]) if own == name else table, tmp_path, own)

    check_same(
        read(tmp_path, repeated_rows="drop"), sound_log, "requests", "candidates", "exposures", "users"
    )
    assert f"Table '{name}': 1 repeated row(s) are dropped." in caplog.text
    with pytest.raises(ValueError, match=f"{name} repeats"):
        read(tmp_path)


def test_two_rows_of_one_key_that_differ_are_never_dropped(sound_log: RequestLog, tmp_path: Path) -> None:
    for own, table in sound_log.tables():
        more = table.iloc[[0]].assign(click=0) if own == "exposures" else table.iloc[:0]
        write(pd.concat([table, more]), tmp_path, own)
    with pytest.raises(ValueError, match="exposures repeats request_id and slot"):
        read(tmp_path, repeated_rows="drop")
