"""The request-log tables: what every source is turned into before anything else looks at it."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from types import MappingProxyType

import ibis
import pandas as pd
import pyarrow as pa

from degre_pipeline.sources.column_types import check_at_least, check_key, check_same_type, coerce, settle
from degre_pipeline.sources.feature_tables import FeatureTables

REQUEST_COLUMNS = ("request_id", "user_id", "requested_at")
CANDIDATE_COLUMNS = ("request_id", "candidate_index", "item_id", "ranking_score", "ranking_rank")
EXPOSURE_COLUMNS = ("request_id", "slot", "item_id", "candidate_index", "click", "conversion", "price")
USER_COLUMNS = ("user_id",)
ITEM_COLUMNS = ("item_id",)

REQUIRED_COLUMNS = MappingProxyType(
    {
        "requests": REQUEST_COLUMNS,
        "candidates": ("request_id", "candidate_index", "item_id"),
        "exposures": ("request_id", "slot", "item_id", "click"),
        "users": USER_COLUMNS,
        "items": ITEM_COLUMNS,
    }
)
"""Columns a source must give, by table; the others below are filled when it does not."""

CONTRACT_COLUMNS = MappingProxyType(
    {
        "requests": REQUEST_COLUMNS,
        "candidates": CANDIDATE_COLUMNS,
        "exposures": EXPOSURE_COLUMNS,
        "users": USER_COLUMNS,
        "items": ITEM_COLUMNS,
    }
)
"""Columns that every log has once it is read, by table; all others are its features."""

UNKNOWN_WHEN_ABSENT = MappingProxyType(
    {"candidates": ("ranking_score",), "exposures": ("conversion", "price")},
)
"""Columns filled with NaN when a source has none, by table."""

KEYS = MappingProxyType(
    {
        "requests": (("request_id",),),
        "candidates": (("request_id", "candidate_index"), ("request_id", "item_id")),
        "exposures": (("request_id", "slot"), ("request_id", "item_id")),
        "users": (("user_id",),),
        "items": (("item_id",),),
    }
)
"""Column sets whose values occur once in a table."""

IDENTIFIERS = MappingProxyType(
    {"user_id": ("requests", "users"), "item_id": ("candidates", "exposures", "items")},
)
"""Tables that must agree on the type of an identifier, by column."""


@dataclass(frozen=True)
class RequestLog:
    """What was asked, handed over, shown and clicked, as five tables.

    Attributes:
        requests: One row a request: `REQUEST_COLUMNS` and the context columns.
        candidates: One row a candidate of a request: `CANDIDATE_COLUMNS`; `candidate_index` counts from 0.
        exposures: One row a filled slot of a request: `EXPOSURE_COLUMNS`; `slot` counts from 1.
        users: One row a user: `USER_COLUMNS` and the user's features.
        items: One row an item: `ITEM_COLUMNS` and the item's features; tags are one string joined by "|".
    """

    requests: pd.DataFrame
    candidates: pd.DataFrame
    exposures: pd.DataFrame
    users: pd.DataFrame
    items: pd.DataFrame

    def tables(self) -> Iterator[tuple[str, pd.DataFrame]]:
        """Yields the name and the frame of each table."""
        for field in fields(self):
            yield field.name, getattr(self, field.name)

    def feature_tables(self) -> FeatureTables:
        """Returns the tables that are known before anything is shown."""
        return FeatureTables(self.requests, self.candidates, self.users, self.items)


def conform(log: RequestLog) -> RequestLog:
    """Returns the log with checked columns, keys and types, and with its derived columns filled.

    Unknown scores, conversions and prices become NaN; `exposures.candidate_index` and
    `candidates.ranking_rank` are always computed anew. Further columns stay as they are.

    Raises: ValueError if a column is missing, holds another type or a null where a value is required,
        if a key occurs twice, if click, slot or index values are out of range, or if two tables disagree
        on the type of an identifier.
    """
    typed = RequestLog(**{name: _conform_table(name, table) for name, table in log.tables()})
    check_identifiers(typed)
    check_at_least("candidates", typed.candidates["candidate_index"], 0)
    check_at_least("exposures", typed.exposures["slot"], 1)
    return fill_derived_columns(typed)


def check_identifiers(log: RequestLog) -> None:
    """Raises ValueError if two tables disagree on the type of an identifier."""
    for identifier, tables in IDENTIFIERS.items():
        check_same_type(identifier, {name: getattr(log, name)[identifier] for name in tables})


def own_columns(name: str) -> tuple[str, ...]:
    """Returns the columns of a table that are the log's own and not derived."""
    return (*REQUIRED_COLUMNS[name], *UNKNOWN_WHEN_ABSENT.get(name, ()))


def with_unknown_columns(name: str, table: pd.DataFrame) -> pd.DataFrame:
    """Returns the table with its rows counted anew, and NaN in the columns that a source need not have."""
    absent = [column for column in own_columns(name) if column not in table.columns]
    return table.assign(**dict.fromkeys(absent, float("nan"))).reset_index(drop=True)


def settle_columns(name: str, table: pd.DataFrame) -> pd.DataFrame:
    """Returns the table with its own columns, which have been read without a fault, in their final types."""
    settled = {column: settle(table[column]) for column in own_columns(name)}
    return table.assign(**settled).reset_index(drop=True)


def fill_derived_columns(log: RequestLog) -> RequestLog:
    """Returns the log with `exposures.candidate_index` and `candidates.ranking_rank` computed.

    The index comes from a left join and is null when the shown item was no candidate. The rank counts from 1
    by score, highest first, ties by `candidate_index`, and is null where the score is.
    """
    connection = ibis.duckdb.connect()
    try:
        candidates = _memtable(log.candidates.drop(columns="ranking_rank", errors="ignore"))
        exposures = _memtable(log.exposures.drop(columns="candidate_index", errors="ignore"))
        ranked = connection.to_pyarrow(_with_ranking_rank(candidates)).to_pandas()
        indexed = connection.to_pyarrow(_with_candidate_index(exposures, candidates)).to_pandas()
    finally:
        connection.disconnect()
    ranked["ranking_rank"] = ranked["ranking_rank"].astype("Int64")
    indexed["candidate_index"] = indexed["candidate_index"].astype("Int64")
    return replace(
        log,
        candidates=_contract_columns_first(ranked, CANDIDATE_COLUMNS),
        exposures=_contract_columns_first(indexed, EXPOSURE_COLUMNS),
    )


def _memtable(frame: pd.DataFrame) -> ibis.Table:
    return ibis.memtable(pa.Table.from_pandas(frame, preserve_index=False))


def _with_ranking_rank(candidates: ibis.Table) -> ibis.Table:
    """Adds the rank of each scored candidate within its request."""
    score = candidates.ranking_score
    best_first = ibis.window(
        group_by=candidates.request_id,
        order_by=[score.desc(nulls_first=False), candidates.candidate_index],
    )
    rank = ibis.cases((score.notnull(), ibis.row_number().over(best_first) + 1))  # noqa: PD004 (an Ibis column)
    return candidates.mutate(ranking_rank=rank).order_by("request_id", "candidate_index")


def _with_candidate_index(exposures: ibis.Table, candidates: ibis.Table) -> ibis.Table:
    """Adds the place of each shown item among its request's candidates."""
    places = candidates.select("request_id", "item_id", "candidate_index")
    joined = exposures.left_join(places, ["request_id", "item_id"])
    return joined.select(*exposures.columns, "candidate_index").order_by("request_id", "slot")


def _contract_columns_first(frame: pd.DataFrame, columns: tuple[str, ...]) -> pd.DataFrame:
    return frame[[*columns, *(column for column in frame.columns if column not in columns)]]


def _conform_table(name: str, table: pd.DataFrame) -> pd.DataFrame:
    """Checks one table's columns, types and keys."""
    missing = [column for column in REQUIRED_COLUMNS[name] if column not in table.columns]
    if missing:
        raise ValueError(
            f"Table {name!r} lacks the column(s) {missing}: it has {list(table.columns)}, "
            f"required are {list(REQUIRED_COLUMNS[name])}."
        )
    filled = with_unknown_columns(name, table)
    typed = filled.assign(**{column: coerce(name, filled[column]) for column in own_columns(name)})
    for key in KEYS[name]:
        check_key(name, typed, key)
    return typed
