"""What is wrong with the requests of a log: every broken rule, with the requests that it spoils."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from degre_pipeline.reranker.schema import Field, Kind
from degre_pipeline.sources.column_types import (
    Mask,
    describe_missing,
    describe_repeated,
    describe_wrong,
    read_column,
)
from degre_pipeline.sources.field_kinds import declared_form, describe_wrong_form, kinds_of
from degre_pipeline.sources.request_log import KEYS, RequestLog, own_columns, with_unknown_columns

OF_REQUESTS = ("requests", "candidates", "exposures")
"""Tables whose rows belong to one request each."""

OF_KEYS: Mapping[str, tuple[str, str]] = {
    "users": ("user_id", "requests"),
    "items": ("item_id", "candidates"),
}
"""Tables that requests refer to: by which identifier, and from which table."""

Ids = NDArray[np.int64]
NOBODY: Ids = np.array([], dtype=np.int64)


@dataclass(frozen=True)
class Fault:
    """A rule that a log breaks.

    Attributes:
        reason: The rule that is broken, in a few words.
        found: The first offence in full.
        rows: How many rows break it.
        request_ids: The requests that are spoilt, each once.
        table: Of the rows.
        places: Of the rows in the table, where they are users or items.
        is_final: Whether setting requests aside would not mend it, because a row names no request.
    """

    reason: str
    found: str
    rows: int
    request_ids: Ids
    table: str = ""
    places: Ids = field(default_factory=lambda: NOBODY)
    is_final: bool = False

    def __str__(self) -> str:
        return f"{self.reason} ({self.rows} row(s), {len(self.request_ids)} request(s)): {self.found}"


@dataclass(frozen=True)
class Wrong:
    """Rows of a table that break a rule."""

    reason: str
    found: str
    table: str
    rows: Mask


def read_columns(log: RequestLog, fields: Iterable[Field]) -> tuple[RequestLog, list[Fault]]:
    """Returns the log with its own columns in their types, unreadable values missing, and their faults.

    Unknown scores, conversions and prices become NaN.
    """
    typed: dict[str, pd.DataFrame] = {}
    unreadable: list[Wrong] = []
    kinds = kinds_of(fields)
    for name, table in log.tables():
        whole = with_unknown_columns(name, table)
        read = {column: read_column(whole[column]) for column in own_columns(name)}
        typed[name] = whole.assign(**{column: values for column, (values, _, _) in read.items()})
        for column, (_, missing, wrong) in read.items():
            unreadable += _unreadable(name, whole[column], missing, wrong)
        declared = {column: kind for column, kind in kinds.get(name, {}).items() if column in table}
        for column, kind in declared.items():
            unreadable += _of_another_kind(name, table[column].reset_index(drop=True), kind)
    whole_log = RequestLog(**typed)
    faults = [fault for one in unreadable for fault in _of_rows(whole_log, one)]
    return whole_log, faults


def find_faults(log: RequestLog) -> list[Fault]:
    """Returns the rules about keys, places and references that a log of typed columns breaks."""
    wrong = [
        *(one for name, table in log.tables() for one in _repeated(name, table)),
        _misplaced("candidates", log.candidates, "candidate_index", 0),
        _misplaced("exposures", log.exposures, "slot", 1),
        *_scores(log.candidates),
        _prices(log.exposures),
    ]
    return [*(fault for one in wrong for fault in _of_rows(log, one)), *_strangers(log)]


def find_stray_items(log: RequestLog) -> list[Fault]:
    """Returns the fault of exposures, with their derived index, that show an item that was no candidate."""
    stray = log.exposures["candidate_index"].isna().to_numpy()
    row = _first_row(log.exposures, stray, ["request_id", "slot", "item_id"])
    found = f"allowed: every exposed item is a candidate of its request; found: {row}"
    return _of_rows(log, Wrong("exposures shows what was no candidate", found, "exposures", stray))


def ids_of(table: pd.DataFrame) -> Ids:
    """Returns the ids of the requests of a table, each once."""
    ids: Ids = table["request_id"].dropna().unique().astype(np.int64)
    return ids


def _of_rows(log: RequestLog, one: Wrong) -> list[Fault]:
    """Returns the fault of some rows, if there are any, with the requests that they spoil."""
    rows = int(one.rows.sum())
    if not rows:
        return []
    wrong = getattr(log, one.table)[one.rows]
    if one.table in OF_KEYS:
        places = np.flatnonzero(one.rows)
        return [Fault(one.reason, one.found, rows, _referring(log, one.table, wrong), one.table, places)]
    owners = wrong["request_id"]
    is_final = bool(owners.isna().any())
    return [Fault(one.reason, one.found, rows, ids_of(wrong), one.table, is_final=is_final)]


def _referring(log: RequestLog, name: str, wrong: pd.DataFrame) -> Ids:
    """Returns the requests whose user, or one of whose candidates, is one of the rows."""
    column, table = OF_KEYS[name]
    rows = getattr(log, table)
    return ids_of(rows[rows[column].isin(wrong[column].dropna())])


def _unreadable(name: str, values: pd.Series, missing: Mask, wrong: Mask) -> Iterator[Wrong]:
    column = f"{name}.{values.name}"
    if missing.any():
        yield Wrong(f"{column} is missing", describe_missing(name, values, missing), name, missing)
    if wrong.any():
        yield Wrong(f"{column} cannot be read", describe_wrong(name, values, wrong), name, wrong)


def _of_another_kind(name: str, values: pd.Series, kind: Kind) -> Iterator[Wrong]:
    _, wrong = declared_form(values, kind)
    if wrong.any():
        found = describe_wrong_form(name, values, kind, wrong)
        yield Wrong(f"{name}.{values.name} is no {kind} value", found, name, wrong)


def _repeated(name: str, table: pd.DataFrame) -> Iterator[Wrong]:
    for key in KEYS[name]:
        is_whole = table[list(key)].notna().all(axis=1).to_numpy()
        repeated = table.duplicated(list(key)).to_numpy() & is_whole
        if repeated.any():
            found = describe_repeated(name, table, key, repeated)
            all_of_them = table.duplicated(list(key), keep=False).to_numpy() & is_whole
            yield Wrong(f"{name} repeats {' and '.join(key)}", found, name, all_of_them)


def _strangers(log: RequestLog) -> Iterator[Fault]:
    """Yields the requests that a table lacks; each has a row in `requests` and at least one in the others."""
    ids = {name: ids_of(getattr(log, name)) for name in OF_REQUESTS}
    for name in ("candidates", "exposures"):
        orphans = np.setdiff1d(ids[name], ids["requests"], assume_unique=True)
        without = np.setdiff1d(ids["requests"], ids[name], assume_unique=True)
        for lost, table, other in ((orphans, "requests", name), (without, name, "requests")):
            if len(lost):
                found = f"request {lost[0]} of table {other!r} has no row in table {table!r}"
                yield Fault(f"{table} lacks a request of {other}", found, len(lost), lost)


def _misplaced(name: str, table: pd.DataFrame, column: str, first: int) -> Wrong:
    """Returns the places that do not count up from the first in each request."""
    is_known = (table["request_id"].notna() & table[column].notna()).to_numpy()
    ids = table["request_id"].to_numpy(np.int64, na_value=0)[is_known]
    places = table[column].to_numpy(np.int64, na_value=0)[is_known]
    order = np.lexsort((places, ids))
    starts = np.flatnonzero(np.diff(ids[order], prepend=ids[order][:1] - 1))
    counted = np.arange(len(order)) - np.repeat(starts, np.diff(starts, append=len(order)))
    wrong = np.zeros(len(table), dtype=np.bool_)
    wrong[np.flatnonzero(is_known)[order]] = places[order] != counted + first
    found = (
        f"allowed: {column} counts {first}, {first + 1}, {first + 2}, ... in each request, without a gap "
        f"or a repetition; found: {_first_row(table, wrong, ['request_id', column])}"
    )
    return Wrong(f"{name}.{column} leaves a gap or repeats", found, name, wrong)


def _scores(candidates: pd.DataFrame) -> Iterator[Wrong]:
    scores = candidates["ranking_score"].to_numpy(dtype=np.float64, na_value=np.nan)
    columns = ["request_id", "candidate_index", "ranking_score"]
    for wrong, reason, allowed in (
        (np.isinf(scores), "is infinite", "a finite score"),
        (np.isnan(scores) & ~np.isnan(scores).all(), "is missing in part", "a score in all rows or in none"),
    ):
        found = f"allowed: {allowed}; found: {_first_row(candidates, wrong, columns)}"
        yield Wrong(f"candidates.ranking_score {reason}", found, "candidates", wrong)


def _prices(exposures: pd.DataFrame) -> Wrong:
    prices = exposures["price"].to_numpy(dtype=np.float64, na_value=np.nan)
    wrong = np.isinf(prices) | (prices < 0)
    row = _first_row(exposures, wrong, ["request_id", "slot", "price"])
    found = f"allowed: finite, 0 or more; found: {row}"
    return Wrong("exposures.price is no price", found, "exposures", wrong)


def _first_row(table: pd.DataFrame, wrong: Mask, columns: list[str]) -> str:
    """Returns the first wrong row in words, or nothing."""
    row = table.loc[wrong, columns].head(1).to_dict("records")
    shown = ", ".join(f"{name}: {value!r}" for name, value in row[0].items()) if row else ""
    return f"{{{shown}}}"
