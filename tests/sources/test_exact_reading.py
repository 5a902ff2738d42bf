"""Every value of a log is read as it was written: one type a column, in all parts and tables."""

import datetime
import gzip
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from degre_pipeline.reranker.features import fit_feature_space
from degre_pipeline.reranker.schema import Field
from degre_pipeline.reranker.tokens import token
from degre_pipeline.simulation.shop import ShopConfig
from degre_pipeline.sources.movielens import MovieLensConfig
from degre_pipeline.sources.request_log import RequestLog
from degre_pipeline.sources.request_log_files import RequestLogFilesConfig
from degre_pipeline.sources.source_choice import read_source

COLOUR = Field("colour", "categorical", "item")
PRICE = Field("price", "numeric", "item")
TAGS = Field("tags", "tags", "item", size=2)
TEXTS = ["01", "1.50", " 1", "+1", "true", "1E3", "10E2", "NA", "None", "null"]


def read(folder: Path, file_format: str, *fields: Field, **settings: Any) -> RequestLog:
    files = RequestLogFilesConfig(folder=str(folder), format=file_format, **settings)
    shop, movielens = ShopConfig(), MovieLensConfig(folder="none", variant="logged", seed=0)
    return read_source(
        "request_log_files", shop, movielens, files, datetime.date(2026, 1, 31), fields=fields
    )[0]


def write(folder: Path, log: RequestLog, **written_otherwise: Any) -> Path:
    """Writes a log as Parquet, some of its tables as Arrow tables or with other columns."""
    for name, table in log.tables():
        other = written_otherwise.get(name, table)
        if isinstance(other, pa.Table):
            pq.write_table(other, folder / f"{name}.parquet")
        else:
            other.to_parquet(folder / f"{name}.parquet")
    return folder


def write_csv(folder: Path, log: RequestLog) -> Path:
    for name, table in log.tables():
        table.to_csv(folder / f"{name}.csv", index=False)
    return folder


def items_with(log: RequestLog, column: pa.Array, name: str = "colour") -> pa.Table:
    items = pa.Table.from_pandas(log.items, preserve_index=False)
    return items.append_column(name, column)


@pytest.fixture
def log(small_log: RequestLog) -> RequestLog:
    """One request over ten items, "i0" to "i9"."""
    ids = [f"i{number}" for number in range(10)]
    return RequestLog(
        requests=small_log.requests.head(1),
        candidates=pd.DataFrame(
            {
                "request_id": 1,
                "candidate_index": range(10),
                "item_id": ids,
                "ranking_score": np.arange(10) / 4,
            }
        ),
        exposures=pd.DataFrame({"request_id": [1, 1], "slot": [1, 2], "item_id": ids[:2], "click": [1, 0]}),
        users=small_log.users,
        items=pd.DataFrame({"item_id": ids}),
    )


# ---------------------------------------------------------------- CSV


def test_texts_of_a_csv_file_stay_texts_and_only_an_empty_cell_is_missing(
    log: RequestLog, tmp_path: Path
) -> None:
    items = log.items.assign(colour=TEXTS, tags=[*TEXTS[:-1], ""], price=np.arange(10) / 4)
    written = write_csv(tmp_path, replace(log, items=items))

    read_items = read(written, "csv", COLOUR, TAGS, PRICE).items

    assert read_items["colour"].tolist() == TEXTS
    assert read_items["tags"].isna().tolist() == [False] * 9 + [True]
    assert read_items["price"].tolist() == items["price"].tolist()
    space = fit_feature_space([COLOUR], {"colour": read_items["colour"].to_numpy()})
    assert set(space.vocabularies["colour"]) == set(TEXTS)
    assert space.encode("colour", TEXTS)[:, 0].min() > 0


def test_leading_zeros_of_identifiers_stay(log: RequestLog, tmp_path: Path) -> None:
    padded = {
        name: table.assign(item_id=table["item_id"].str.replace("i", "0000"))
        for name, table in log.tables()
        if "item_id" in table
    }
    users = {"requests": log.requests.assign(user_id="007"), "users": pd.DataFrame({"user_id": ["007"]})}

    conformed = read(write_csv(tmp_path, replace(log, **padded, **users)), "csv")

    assert conformed.items["item_id"].tolist()[:2] == ["00000", "00001"]
    assert conformed.candidates["item_id"].tolist() == conformed.items["item_id"].tolist()
    assert conformed.exposures["candidate_index"].tolist() == [0, 1]
    assert conformed.requests["user_id"].tolist() == ["007"]


@pytest.mark.parametrize("cell", ["9,50", "cheap", "inf", "NA", "1_000"])
def test_what_is_no_number_in_a_numeric_field_is_named(log: RequestLog, tmp_path: Path, cell: str) -> None:
    items = log.items.assign(price=["1.5", "", "2", cell] + ["+1E3"] * 6)
    with pytest.raises(ValueError, match=rf"'items\.price'.*'{cell}' in row 3.*'numeric': finite numbers"):
        read(write_csv(tmp_path, replace(log, items=items)), "csv", PRICE)


def test_numbers_in_other_spellings_are_read(log: RequestLog, tmp_path: Path) -> None:
    items = log.items.assign(price=["1.50", "", " 2", "+1E3", "007", "nan", ".5", "-0", "1e-3", "3."])
    prices = read(write_csv(tmp_path, replace(log, items=items)), "csv", PRICE).items["price"]
    expected = [1.5, np.nan, 2, 1000, 7, np.nan, 0.5, 0, 0.001, 3]
    np.testing.assert_array_equal(prices.to_numpy(), expected)


def test_parts_whose_identifiers_get_letters_later_agree(log: RequestLog, tmp_path: Path) -> None:
    written = write_csv(tmp_path, replace(log, exposures=log.exposures.assign(item_id=["001", "i1"])))
    whole = written / "candidates.csv"
    whole.unlink()
    whole.mkdir()
    days = log.candidates.assign(item_id=["001", *log.candidates["item_id"][1:]])
    days.head(1).to_csv(whole / "part-1.csv", index=False)
    days.tail(9).to_csv(whole / "part-2.csv", index=False)
    days.head(0).to_csv(whole / "part-3.csv", index=False)

    assert read(written, "csv").candidates["item_id"].tolist() == days["item_id"].tolist()


def test_separator_encoding_and_compression_are_settings(log: RequestLog, tmp_path: Path) -> None:
    items = log.items.assign(colour="grün")
    for name, table in replace(log, items=items).tables():
        content = table.to_csv(index=False, sep=";").encode("utf-16")
        (tmp_path / f"{name}.csv.gz").write_bytes(gzip.compress(content))

    conformed = read(tmp_path, "csv", COLOUR, csv_separator=";", csv_encoding="utf-16")

    assert set(conformed.items["colour"]) == {"grün"}


def test_another_separator_or_encoding_is_hinted_at(log: RequestLog, tmp_path: Path) -> None:
    log.requests.to_csv(tmp_path / "requests.csv", index=False, sep=";")
    with pytest.raises(ValueError, match=r"requests\.csv lacks the column.*separated by `csv_separator`"):
        read(tmp_path, "csv")
    (tmp_path / "requests.csv").write_bytes("request_id,straße\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"requests\.csv as csv: .*encoding is set by `csv_encoding`"):
        read(tmp_path, "csv")


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"csv_separator": ""}, "csv_separator is '', allowed is one character"),
        ({"csv_encoding": "latin-99"}, "csv_encoding is 'latin-99', allowed is an encoding"),
    ],
)
def test_wrong_csv_settings_are_named(settings: dict[str, str], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        RequestLogFilesConfig(folder=".", format="csv", **settings)


# ---------------------------------------------------------------- types of Parquet

EXACT: Mapping[str, tuple[pa.Array, list[Any]]] = {
    "bytes": (pa.array([b"shoes", None]), ["shoes", None]),
    "a dictionary": (pa.array(["shoes", None]).dictionary_encode(), ["shoes", None]),
    "decimals": (pa.array([Decimal("1.50"), Decimal("12.00")]), [1.5, 12]),
    "wide decimals": (pa.array([Decimal("12345678901234567.123"), None]), ["12345678901234567.123", None]),
    "decimals of a warehouse's ids": (pa.array([Decimal(7), None], pa.decimal128(38, 0)), [7, None]),
    "whole numbers beside a missing one": (pa.array([2**53 + 1, None]), [2**53 + 1, None]),
    "whole numbers without a sign": (pa.array([2**64 - 1, 5], pa.uint64()), [2**64 - 1, 5]),
    "short floats": (pa.array([0.1, 3.0], pa.float32()), [0.1, 3]),
    "truth values": (pa.array([True, None]), [True, None]),
    "times of nanoseconds": (
        pa.array([pd.Timestamp("2026-01-31 09:30"), None], pa.timestamp("ns")),
        ["2026-01-31T09:30:00", None],
    ),
    "times of a zone": (
        pa.array([pd.Timestamp("2026-01-31 09:30")] * 2, pa.timestamp("us", "Europe/Berlin")),
        ["2026-01-31T09:30:00"] * 2,
    ),
    "dates": (pa.array([datetime.date(2026, 1, 31), None]), ["2026-01-31", None]),
}


@pytest.mark.parametrize(("column", "as_json"), EXACT.values(), ids=EXACT)
def test_a_category_of_a_table_is_found_again_as_json(
    log: RequestLog, tmp_path: Path, column: pa.Array, as_json: list[Any]
) -> None:
    items = items_with(log, pa.concat_arrays([column] * 5)) if pa.types.is_dictionary(column.type) else None
    items = items or items_with(log, pa.array(column.to_pylist() * 5, column.type))

    written = read(write(tmp_path, log, items=items), "parquet", COLOUR).items
    written.to_parquet(tmp_path / "kept.parquet", index=False)
    kept = pd.read_parquet(tmp_path / "kept.parquet")["colour"]

    assert [token(value) for value in kept.to_numpy(object, na_value=None)] == [token(v) for v in as_json] * 5
    assert {type(value) for value in kept.dropna().tolist()} <= {str, int, float, bool}


@pytest.mark.parametrize(
    "column",
    [
        pa.array([Decimal("9.50"), None] * 5),
        pa.array(["9.50", None] * 5),
        pa.array([b"9.5", None] * 5),
        pa.array([9.5, None] * 5, pa.float32()),
    ],
    ids=str,
)
def test_numbers_of_other_types_are_numbers_in_a_numeric_field(
    log: RequestLog, tmp_path: Path, column: pa.Array
) -> None:
    prices = read(write(tmp_path, log, items=items_with(log, column, "price")), "parquet", PRICE).items[
        "price"
    ]
    assert prices.dtype == np.float64
    np.testing.assert_array_equal(prices, [9.5, np.nan] * 5)


REFUSED = {
    "an infinite number": ("numeric", pa.array([1.0, float("inf")] * 5), "inf in row 1"),
    "a truth value for a number": ("numeric", pa.array([True] * 10), "True in row 0"),
    "a time for a number": ("numeric", pa.array([datetime.datetime(2026, 1, 1)] * 10), "2026-01-01"),
    "a text for a number": ("numeric", pa.array(["1", "?"] * 5), r"'\?' in row 1"),
    "an infinite category": ("categorical", pa.array([1.0, float("-inf")] * 5), "-inf in row 1"),
    "a list for a category": ("categorical", pa.array([["a"]] * 10), "list<.*allowed: a single value"),
    "a list for a number": ("numeric", pa.array([[1.0]] * 10), "list<.*allowed: a single value"),
    "a struct": ("tags", pa.array([{"a": 1}] * 10), "struct<.*allowed: a single value"),
    "a duration": (
        "categorical",
        pa.array([datetime.timedelta(1)] * 10),
        "duration.*allowed: a single value",
    ),
    "bytes that are no text": ("categorical", pa.array([b"\xff"] * 10), "UTF8"),
    "a tag with a bar": ("tags", pa.array([["a|b"]] * 10), r"a tag with '\|'"),
}


@pytest.mark.parametrize(("kind", "column", "named"), REFUSED.values(), ids=REFUSED)
def test_what_a_kind_does_not_allow_is_named_with_its_column(
    log: RequestLog, tmp_path: Path, kind: Any, column: pa.Array, named: str
) -> None:
    items = items_with(log, column, "price")
    with pytest.raises(ValueError, match=rf"'items\.price'.*{named}"):
        read(write(tmp_path, log, items=items), "parquet", replace(PRICE, kind=kind))


@pytest.mark.parametrize(
    ("column", "texts"),
    [
        (pa.array([["x", "y"], None] * 5), ["x|y", None]),
        (pa.array([[1, 2], []] * 5), ["1|2", ""]),
        (pa.array([7, None] * 5), ["7", None]),
        (pa.array([1.5, 2.0] * 5), ["1.5", "2"]),
        (pa.array([True, False] * 5), ["true", "false"]),
    ],
    ids=str,
)
def test_tags_are_text_whatever_they_were(
    log: RequestLog, tmp_path: Path, column: pa.Array, texts: list[str | None]
) -> None:
    tags = read(write(tmp_path, log, items=items_with(log, column, "tags")), "parquet", TAGS).items["tags"]
    assert tags.to_numpy(object, na_value=None).tolist() == texts * 5


def test_undeclared_columns_of_any_type_do_not_matter(log: RequestLog, tmp_path: Path) -> None:
    items = pa.table({"vector": [[0.1, 0.2]] * 10}).append_column("item_id", pa.array(log.items["item_id"]))
    items = items.append_column("picture", pa.array([b"\xff"] * 10)).append_column(
        "note", pa.array(["a"] * 10)
    )
    conformed = read(write(tmp_path, log, items=items), "parquet").items
    assert conformed.columns.tolist() == ["item_id", "note"]


def test_the_log_s_own_column_keeps_its_type_whatever_field_it_is(log: RequestLog, tmp_path: Path) -> None:
    field = Field("requested_at", "categorical", "context")
    with pytest.raises(ValueError, match=r"'requested_at' of kind 'categorical' is the log's own column"):
        read(write(tmp_path, log), "parquet", field)


# ---------------------------------------------------------------- the log's own columns


def test_the_log_s_own_columns_may_be_of_any_exact_type(log: RequestLog, tmp_path: Path) -> None:
    candidates = pa.table(
        {
            "request_id": pa.array([2**64 - 1] * 10, pa.uint64()),
            "candidate_index": pa.array([Decimal(n) for n in range(10)], pa.decimal128(38, 0)),
            "item_id": pa.array(log.candidates["item_id"]).dictionary_encode(),
            "ranking_score": pa.array([Decimal("1.25")] * 10),
        }
    )
    exposures = pa.table(
        {
            "request_id": pa.array([2**64 - 1] * 2, pa.uint64()),
            "slot": pa.array([1, 2], pa.int8()),
            "item_id": pa.array([b"i0", b"i1"]),
            "click": pa.array([True, False]),
            "price": pa.array([Decimal("9.50"), None]),
        }
    )
    requests = pa.table(
        {
            "request_id": pa.array([2**64 - 1], pa.uint64()),
            "user_id": pa.array(["ann"]).dictionary_encode(),
            "requested_at": pa.array([datetime.date(2026, 1, 31)]),
        }
    )
    tables = {"candidates": candidates, "exposures": exposures, "requests": requests}

    conformed = read(write(tmp_path, log, **tables), "parquet")

    assert conformed.requests["request_id"].tolist() == [-1]  # the same 64 bits
    assert set(conformed.candidates["request_id"]) == set(conformed.exposures["request_id"]) == {-1}
    assert conformed.candidates["candidate_index"].tolist() == list(range(10))
    assert conformed.candidates["ranking_score"].tolist() == [1.25] * 10
    assert conformed.exposures["candidate_index"].tolist() == [0, 1]
    assert conformed.exposures["click"].tolist() == [1, 0]
    assert conformed.exposures["price"].iloc[0] == 9.5
    assert conformed.requests["requested_at"].tolist() == [pd.Timestamp("2026-01-31")]


def test_identifiers_above_63_bits_are_text(log: RequestLog, tmp_path: Path) -> None:
    ids = pa.array([2**63 + n for n in range(10)], pa.uint64())
    tables = {
        "candidates": pa.Table.from_pandas(log.candidates.drop(columns="item_id")).append_column(
            "item_id", ids
        ),
        "exposures": pa.Table.from_pandas(log.exposures.drop(columns="item_id")).append_column(
            "item_id", ids[:2]
        ),
        "items": pa.table({"item_id": ids}),
    }
    conformed = read(write(tmp_path, log, **tables), "parquet")
    assert conformed.items["item_id"].tolist()[0] == str(2**63)
    assert conformed.exposures["candidate_index"].tolist() == [0, 1]


@pytest.mark.parametrize(
    "column", [pa.array([["i0"]] * 10), pa.array([True] * 10), pa.array([0.5] * 10)], ids=str
)
def test_what_is_no_identifier_is_named(log: RequestLog, tmp_path: Path, column: pa.Array) -> None:
    items = pa.table({"item_id": column})
    with pytest.raises(ValueError, match=r"'items\.item_id'"):
        read(write(tmp_path, log, items=items), "parquet")


def test_whole_numbers_and_texts_of_parts_become_texts_in_all_tables(log: RequestLog, tmp_path: Path) -> None:
    numbered = {
        name: table.assign(item_id=table["item_id"].str[1:].astype(int))
        for name, table in log.tables()
        if "item_id" in table
    }
    written = write(tmp_path, replace(log, **numbered))
    (written / "items.parquet").unlink()
    (written / "items.parquet").mkdir()
    numbered["items"].head(9).to_parquet(written / "items.parquet" / "part-0.parquet")
    pd.DataFrame({"item_id": []}, dtype=object).to_parquet(written / "items.parquet" / "part-1.parquet")
    pd.DataFrame({"item_id": ["9", "a9"]}).to_parquet(written / "items.parquet" / "part-2.parquet")

    conformed = read(written, "parquet")

    assert conformed.items["item_id"].tolist() == [*"0123456789", "a9"]
    assert conformed.candidates["item_id"].tolist() == [*"0123456789"]
    assert conformed.exposures["candidate_index"].tolist() == [0, 1]


def test_texts_that_whole_numbers_of_another_table_have_lost_are_named(
    log: RequestLog, tmp_path: Path
) -> None:
    candidates = log.candidates.assign(item_id=range(10))
    exposures = log.exposures.assign(item_id=range(2))
    items = pd.DataFrame({"item_id": [f"00{number}" for number in range(10)]})
    with pytest.raises(
        ValueError, match=r"items has the text '000', candidates, exposures have whole numbers"
    ):
        read(
            write(tmp_path, replace(log, candidates=candidates, exposures=exposures), items=items), "parquet"
        )


def test_named_index_levels_are_columns(log: RequestLog, tmp_path: Path) -> None:
    requests = log.requests.set_index(pd.RangeIndex(1, 2, name="request_id")).drop(columns="request_id")
    conformed = read(
        write(tmp_path, log, users=log.users.set_index("user_id"), requests=requests, items=log.items[::-1]),
        "parquet",
    )
    assert conformed.users.columns.tolist() == ["age", "user_id"]
    assert conformed.requests["request_id"].tolist() == [1]
    assert conformed.items.columns.tolist() == ["item_id"]


# ---------------------------------------------------------------- folders of parts


@pytest.mark.parametrize("name", ["candidates.parquet", "candidates"])
def test_partitions_of_hive_and_spark_are_read_with_their_columns(
    log: RequestLog, tmp_path: Path, name: str
) -> None:
    written = write(tmp_path, log)
    (written / "candidates.parquet").unlink()
    for place, day in enumerate(["2026-01-01", "a%2Fb", "__HIVE_DEFAULT_PARTITION__"]):
        folder = written / name / f"colour={day}"
        folder.mkdir(parents=True)
        part = log.candidates.iloc[place * 4 : place * 4 + 4]
        part.to_parquet(folder / "part-0.snappy.parquet")
    (written / name / "_temporary").mkdir()
    (written / name / "_temporary" / "part-0.parquet").write_text("half")

    candidates = read(written, "parquet", replace(COLOUR, group="score")).candidates

    expected = ["2026-01-01"] * 4 + [None] * 2 + ["a/b"] * 4
    found = candidates.sort_values("candidate_index")["colour"].to_numpy(object, na_value=None).tolist()
    assert found == ["2026-01-01"] * 4 + ["a/b"] * 4 + [None] * 2
    assert len(expected) == len(candidates) == 10


def test_a_table_in_two_places_is_named(log: RequestLog, tmp_path: Path) -> None:
    write(tmp_path, log)
    (tmp_path / "items").mkdir()
    with pytest.raises(ValueError, match=r"'items' lies in .*items\.parquet and .*items; allowed: one place"):
        read(tmp_path, "parquet")


def test_a_part_without_a_required_column_is_named(log: RequestLog, tmp_path: Path) -> None:
    write(tmp_path, log)
    (tmp_path / "items.parquet").unlink()
    (tmp_path / "items").mkdir()
    log.items.to_parquet(tmp_path / "items" / "part-0.parquet")
    log.items.rename(columns={"item_id": "id"}).to_parquet(tmp_path / "items" / "part-1.parquet")
    with pytest.raises(ValueError, match=r"items/part-1\.parquet lacks the column\(s\) \['item_id'\]"):
        read(tmp_path, "parquet")


def test_parts_that_have_nothing_in_common_are_named(log: RequestLog, tmp_path: Path) -> None:
    write(tmp_path, log)
    (tmp_path / "items.parquet").unlink()
    (tmp_path / "items").mkdir()
    log.items.assign(colour=True).to_parquet(tmp_path / "items" / "part-0.parquet")
    log.items.assign(colour=1.5).to_parquet(tmp_path / "items" / "part-1.parquet")
    named = r"truth values in part-0\.parquet, numbers in part-1\.parquet; allowed: one kind of values"
    with pytest.raises(ValueError, match=rf"'items\.colour' cannot be read: it holds {named}"):
        read(tmp_path, "parquet", COLOUR)
