"""Shapes in which teams keep a log, made the five tables: a row for each impression, or lists in cells."""

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd

from degre_pipeline.reranker.schema import Field
from degre_pipeline.sources.field_kinds import kinds_of
from degre_pipeline.sources.plain_columns import is_text
from degre_pipeline.sources.request_log import CONTRACT_COLUMNS, REQUIRED_COLUMNS

Shape = Literal["tables", "impressions", "lists"]
TimeUnit = Literal["none", "seconds", "milliseconds", "microseconds", "nanoseconds"]
Tables = dict[str, pd.DataFrame]

logger = logging.getLogger(__name__)

_SHORT: Mapping[TimeUnit, Literal["s", "ms", "us", "ns"]] = {
    "seconds": "s",
    "milliseconds": "ms",
    "microseconds": "us",
    "nanoseconds": "ns",
}

IMPRESSIONS = "impressions"
DERIVABLE = ("candidates", "users", "items")
"""Tables that can be made from others: candidates from what was shown, ids from those who refer to them."""

_WHOLE = r"\s*[+-]?\d+(\.0*)?\s*"

LISTED = ("candidates", "ranking_scores", "shown", "clicks")
"""Columns of `requests` that hold lists where the shape is `lists`."""


@dataclass(frozen=True)
class StoredTable:
    """A table as it is stored, before the five are made.

    Attributes:
        required: Columns that it must have.
        kinds: How its columns are read: the kind of a field, or "" for the log's own.
    """

    required: tuple[str, ...]
    kinds: Mapping[str, str]


def stored_tables(shape: Shape, derived: Sequence[str], fields: Iterable[Field]) -> dict[str, StoredTable]:
    """Returns the tables that a log of a shape consists of, by name.

    Args:
        shape: `tables`, the five; `impressions`, a row for each item of a request; `lists`, one a request.
        derived: Of `DERIVABLE`, what is not stored.
        fields: The declared features.
    """
    kinds = kinds_of(fields)
    five = {
        name: StoredTable(columns, {**dict.fromkeys(CONTRACT_COLUMNS[name], ""), **kinds.get(name, {})})
        for name, columns in REQUIRED_COLUMNS.items()
    }
    kept = {name: table for name, table in five.items() if name not in derived}
    if shape == "tables":
        return kept
    apart = {name: table for name, table in kept.items() if name in ("users", "items")}
    if shape == "lists":
        requests = kept["requests"]
        lists = dict.fromkeys(LISTED, "tags")
        return {
            "requests": StoredTable((*requests.required, "shown", "clicks"), {**requests.kinds, **lists}),
            **apart,
        }
    together = [table for name, table in five.items() if name not in apart]
    columns = {column: kind for table in together for column, kind in table.kinds.items()}
    required = ("request_id", "user_id", "requested_at", "item_id", "slot", "click")
    return {IMPRESSIONS: StoredTable(required, columns), **apart}


def five_tables(
    shape: Shape, stored: Tables, derived: Sequence[str], fields: Sequence[Field], first_slot: int = 1
) -> Tables:
    """Returns the five tables of a log, as they would have been read from five files.

    Args:
        shape: Of the log.
        stored: What was read, by the names of `stored_tables`.
        derived: What is made from the other tables.
        fields: The declared features; they say which columns of impressions are whose.
        first_slot: Number of the uppermost slot in the log.
    Raises: ValueError: If rows of one request, user or item disagree on what must be the same in all of them.
    """
    tables = dict(stored)
    if shape == "impressions":
        tables |= _of_impressions(tables.pop(IMPRESSIONS), derived, fields)
    elif shape == "lists":
        tables |= _of_lists(tables["requests"], "candidates" in derived)
    if "candidates" in derived:
        tables["candidates"] = _shown_as_candidates(tables["exposures"])
    if "users" in derived and "users" not in tables:
        tables["users"] = _ids("user_id", tables["requests"])
    if "items" in derived and "items" not in tables:
        tables["items"] = _ids("item_id", tables["candidates"])
    if first_slot != 1:
        tables["exposures"] = _counted_from_one(tables["exposures"], first_slot)
    return _with_numbered_requests({name: tables[name] for name in REQUIRED_COLUMNS})


def without_repeated_rows(tables: Tables) -> Tables:
    """Returns the tables without rows that equal an earlier one in every column; says how many."""
    kept = {}
    for name, table in tables.items():
        repeated = table.duplicated()
        if repeated.any():
            logger.warning("Table %r: %d repeated row(s) are dropped.", name, int(repeated.sum()))
        kept[name] = table[~repeated].reset_index(drop=True)
    return kept


def with_times_of(unit: TimeUnit, requests: pd.DataFrame) -> pd.DataFrame:
    """Returns requests whose times, counted from 1970 in UTC, are times.

    Raises: ValueError: If a time is no number, or lies outside of what a time of 64 bits can be.
    """
    if unit == "none":
        return requests
    counted = requests["requested_at"]
    numbers = pd.to_numeric(counted, errors="coerce")
    wrong = (numbers.isna() & counted.notna()).to_numpy()
    if wrong.any():
        raise ValueError(
            f"Column 'requests.requested_at' holds {counted[wrong].iloc[0]!r}; "
            f"allowed with time_unit {unit!r}: numbers of {unit} since 1970"
        )
    try:
        times = pd.to_datetime(numbers, unit=_SHORT[unit])
    except (pd.errors.OutOfBoundsDatetime, OverflowError) as error:
        raise ValueError(
            f"Column 'requests.requested_at' holds {numbers.max():.0f}, which is no time in {unit}; "
            f"allowed: another time_unit of {', '.join(get_args(TimeUnit))}"
        ) from error
    return requests.assign(requested_at=times.dt.as_unit("us"))


def _of_impressions(rows: pd.DataFrame, derived: Sequence[str], fields: Sequence[Field]) -> Tables:
    """Returns requests, candidates, exposures, and users and items where they are derived."""
    groups = {name: tuple(kinds) for name, kinds in kinds_of(fields).items()}
    context = [*groups["requests"], *(["randomized"] if "randomized" in rows else [])]
    tables = {
        "requests": _one_row_each(rows, "request_id", ["user_id", "requested_at", *context], "score"),
        "candidates": _candidates(rows, groups["candidates"]),
        "exposures": _some(rows[rows["slot"].notna()], CONTRACT_COLUMNS["exposures"]),
    }
    tables["exposures"] = tables["exposures"].drop(columns="candidate_index", errors="ignore")
    if "users" in derived:
        tables["users"] = _one_row_each(rows, "user_id", groups["users"], "context")
    if "items" in derived:
        tables["items"] = _one_row_each(rows, "item_id", groups["items"], "score")
    return tables


def _candidates(rows: pd.DataFrame, declared: Sequence[str]) -> pd.DataFrame:
    """Returns every row as a candidate of its request, in the order of the rows."""
    columns = ["request_id", "item_id", "ranking_score", *declared]
    handed = _some(rows, list(dict.fromkeys(columns))).drop_duplicates(["request_id", "item_id"])
    return handed.assign(candidate_index=handed.groupby("request_id", sort=False).cumcount())


def _one_row_each(rows: pd.DataFrame, key: str, columns: Sequence[str], instead: str) -> pd.DataFrame:
    """Returns one row for each value of a key. Raises: ValueError: If its rows disagree on a column."""
    part = _some(rows, [key, *columns]).drop_duplicates()
    part = part[part[key].notna()]
    repeated = part.duplicated(key)
    if repeated.any():
        first = part.loc[part[key] == part.loc[repeated, key].iloc[0]].head(2)
        differing = [name for name in part.columns if len(first[name].drop_duplicates()) > 1]
        raise ValueError(
            f"impressions disagree on {differing[0]!r} of {key} {first[key].iloc[0]!r}: "
            f"{first[differing[0]].tolist()}; allowed: one value for each {key}. "
            f"A value that changes is a field of group {instead!r}"
        )
    return part.reset_index(drop=True)


def _of_lists(requests: pd.DataFrame, shown_only: bool) -> Tables:
    """Returns requests, candidates and exposures of requests whose lists stand in cells."""
    rows = requests.reset_index(drop=True)
    shown = _exploded(rows, {"shown": "item_id", "clicks": "click"})
    shown["slot"] = shown.groupby("request_id", sort=False).cumcount() + 1
    tables = {
        "requests": rows.drop(columns=[name for name in LISTED if name in rows]),
        "exposures": shown,
    }
    if not shown_only:
        if "candidates" not in rows:
            raise ValueError(
                "requests has no column 'candidates'; allowed: a list of ids in each row, "
                "or derived: [candidates] for a log of shown lists only"
            )
        named = {"candidates": "item_id", "ranking_scores": "ranking_score"}
        handed = _exploded(rows, {own: name for own, name in named.items() if own in rows})
        handed["candidate_index"] = handed.groupby("request_id", sort=False).cumcount()
        tables["candidates"] = handed
    return tables


def _exploded(rows: pd.DataFrame, columns: Mapping[str, str]) -> pd.DataFrame:
    """Returns a row for each entry of lists that run in parallel.

    Raises: ValueError: If two lists of a request differ in length.
    """
    entries = {own: rows[own].map(_entries) for own in columns}
    lengths = {own: lists.map(len) for own, lists in entries.items()}
    first = next(iter(columns))
    for own, count in lengths.items():
        differing = count.ne(lengths[first])
        if differing.any():
            place = int(differing.to_numpy().argmax())
            raise ValueError(
                f"request {rows['request_id'].iloc[place]}: {first!r} has {lengths[first].iloc[place]} "
                f"entries and {own!r} has {count.iloc[place]}; allowed: as many of both"
            )
    exploded = {
        name: pd.Series(np.concatenate([*entries[own], np.array([], dtype=object)]), dtype="str")
        for own, name in columns.items()
    }
    return pd.DataFrame(
        {"request_id": np.repeat(rows["request_id"].to_numpy(), lengths[first].to_numpy()), **exploded}
    )


def _entries(cell: object) -> list[str]:
    """Returns the entries of a list in a cell: `a|b|c`, or `[a, b, c]` as JSON or Python would write it."""
    if not isinstance(cell, str) or not cell.strip():
        return []
    text = cell.strip()
    if not (text.startswith("[") and text.endswith("]")):
        return [entry.strip() for entry in text.split("|")]
    try:
        return [_as_text(entry) for entry in json.loads(text)]
    except json.JSONDecodeError:
        return [entry.strip().strip("'\"") for entry in text[1:-1].split(",") if entry.strip()]


def _as_text(entry: object) -> str:
    if isinstance(entry, bool):
        return str(int(entry))
    return entry if isinstance(entry, str) else json.dumps(entry)


def _shown_as_candidates(exposures: pd.DataFrame) -> pd.DataFrame:
    """Returns the shown items of each request as its candidates, in the order of their slots."""
    slots = pd.to_numeric(exposures["slot"], errors="coerce")
    ordered = exposures.assign(slot=slots).sort_values(["request_id", "slot"], kind="stable")
    part = ordered[["request_id", "item_id"]].drop_duplicates()
    return part.assign(candidate_index=part.groupby("request_id", sort=False).cumcount())


def _ids(key: str, rows: pd.DataFrame) -> pd.DataFrame:
    return rows[[key]].dropna().drop_duplicates().reset_index(drop=True)


def _counted_from_one(exposures: pd.DataFrame, first_slot: int) -> pd.DataFrame:
    numbers = pd.to_numeric(exposures["slot"], errors="coerce")
    shifted = (numbers - first_slot + 1).where(numbers.notna(), exposures["slot"])
    return exposures.assign(slot=shifted)


def _with_numbered_requests(tables: Tables) -> Tables:
    """Returns the tables with numbers for requests whose ids are texts, which stay as `request_key`.

    A number is the same in every reading of the log: 63 bits of the text's hash.

    Raises: ValueError: If two texts have one number.
    """
    keys = tables["requests"]["request_id"]
    if not is_text(keys) or keys.dropna().str.fullmatch(_WHOLE).all():
        return tables
    numbered = {
        name: tables[name].assign(request_id=_numbers(tables[name]["request_id"]))
        for name in ("requests", "candidates", "exposures")
    }
    pairs = pd.DataFrame({"number": numbered["requests"]["request_id"], "key": keys}).drop_duplicates()
    twice = pairs[pairs["number"].notna() & pairs.duplicated("number", keep=False)]
    if len(twice):
        raise ValueError(
            f"request_id {twice['key'].tolist()[:2]} have the same hash; allowed: ids of different hashes"
        )
    return tables | numbered | {"requests": numbered["requests"].assign(request_key=keys)}


def _numbers(keys: pd.Series) -> pd.Series:
    texts = keys.astype("str")
    hashed = (pd.util.hash_array(texts.to_numpy(dtype=object)) >> np.uint64(1)).astype(np.int64)
    return pd.Series(hashed, index=keys.index, dtype="Int64").where(keys.notna())


def _some(rows: pd.DataFrame, columns: Iterable[str]) -> pd.DataFrame:
    return rows[[name for name in columns if name in rows]]
