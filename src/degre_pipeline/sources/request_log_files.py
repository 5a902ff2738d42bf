"""Your own log: files or folders of them, one a table, in one of the shapes of `log_shapes`."""

import codecs
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Literal, get_args

import pandas as pd
import pyarrow as pa

from degre_pipeline.reranker.schema import Field
from degre_pipeline.sources.identifiers import with_shared_identifiers
from degre_pipeline.sources.joined_parts import joined_parts
from degre_pipeline.sources.log_shapes import (
    DERIVABLE,
    Shape,
    StoredTable,
    TimeUnit,
    five_tables,
    stored_tables,
    with_times_of,
    without_repeated_rows,
)
from degre_pipeline.sources.request_log import RequestLog
from degre_pipeline.sources.set_aside import conform_but_for_spoilt
from degre_pipeline.sources.table_files import ENDINGS, FileForm, find_table, read_parts
from degre_pipeline.sources.window import cut_to_window

RepeatedRows = Literal["refuse", "drop"]

logger = logging.getLogger(__name__)

FORMATS = tuple(ENDINGS)


@dataclass(frozen=True, kw_only=True)
class RequestLogFilesConfig:
    """Where a log's files lie and what their columns are called.

    Attributes:
        folder: Folder with requests, candidates, exposures, users and items, each a file that ends in
            `.{format}` (or `.csv.gz`), or a folder of such files, as Spark and Hive write them: `read_parts`.
        format: "parquet", "csv", "tsv" or "jsonl".
        shape: `tables`, these five; `impressions`, one table with a row for each item of a request, whose
            `slot` is empty where it was not shown; `lists`, requests with the lists `candidates`, `shown` and
            `clicks` in cells.
        derived: Of candidates, users and items, those that are not stored: candidates are then what was
            shown, users and items those that the others name.
        first_slot: Number of the uppermost slot: 1 or 0.
        time_unit: Of `requested_at` where it is a number, counted from 1970: `seconds` to `nanoseconds`;
            `none` where it is a time, or the text of one.
        repeated_rows: What becomes of rows that are there twice, equal in every column: `refuse` takes them
            for wrong rows; `drop` leaves the second one out, for logs that are delivered at least once.
        renames: Own column names, as "table.own_name" to the request log's name, for example
            {"candidates.score": "ranking_score"}.
        days: Days that are read, the last one being the run date; 0 reads the whole log, whatever the date.
        csv_separator: Between the cells of CSV files.
        csv_encoding: Of CSV files, by Python's name.
        may_drop: Largest share of requests that may be set aside because a row of theirs is wrong; 0 refuses
            a log with a wrong row, so that no figure rests on fewer requests than logged unless you say so.

    Raises: ValueError if the format, the form of a rename, the number of days, the separator, the encoding or
        the share is not allowed.
    """

    folder: str
    format: str
    shape: Shape = "tables"
    derived: list[str] = field(default_factory=list)
    first_slot: int = 1
    time_unit: TimeUnit = "none"
    repeated_rows: RepeatedRows = "refuse"
    renames: dict[str, str] = field(default_factory=dict)
    days: int = 0
    csv_separator: str = ","
    csv_encoding: str = "utf-8"
    may_drop: float = 0.0

    def __post_init__(self) -> None:
        """Checks every value."""
        if self.format not in FORMATS:
            raise ValueError(
                f"RequestLogFilesConfig.format is {self.format!r}, allowed is one of {list(FORMATS)}."
            )
        for name, choices in (("shape", Shape), ("time_unit", TimeUnit), ("repeated_rows", RepeatedRows)):
            value, allowed = getattr(self, name), list(get_args(choices))
            if value not in allowed:
                raise ValueError(f"RequestLogFilesConfig.{name} is {value!r}, allowed is one of {allowed}.")
        unknown = [name for name in self.derived if name not in DERIVABLE]
        if unknown or (self.shape == "impressions" and "candidates" in self.derived):
            raise ValueError(
                f"RequestLogFilesConfig.derived is {self.derived!r}, allowed are {list(DERIVABLE)}; "
                "of impressions users and items, for candidates are always made from them."
            )
        if self.first_slot not in (0, 1):
            raise ValueError(f"RequestLogFilesConfig.first_slot is {self.first_slot!r}, allowed is 0 or 1.")
        tables = list(stored_tables(self.shape, self.derived, ()))
        for own_name in self.renames:
            table, _, column = own_name.partition(".")
            if table not in tables or not column:
                raise ValueError(
                    f"RequestLogFilesConfig.renames has the key {own_name!r}, allowed is 'table.column' "
                    f"with a table of {tables}."
                )
        if not isinstance(self.days, int) or self.days < 0:
            raise ValueError(
                f"RequestLogFilesConfig.days is {self.days!r}, allowed is a whole number from 0."
            )
        if not isinstance(self.csv_separator, str) or len(self.csv_separator) != 1:
            raise ValueError(
                f"RequestLogFilesConfig.csv_separator is {self.csv_separator!r}, allowed is one character."
            )
        if isinstance(self.may_drop, bool) or not isinstance(self.may_drop, int | float):
            raise ValueError(f"RequestLogFilesConfig.may_drop is {self.may_drop!r}, allowed is a number.")
        if not 0 <= self.may_drop < 1:
            raise ValueError(
                f"RequestLogFilesConfig.may_drop is {self.may_drop!r}, allowed is from 0 to below 1."
            )
        try:
            codecs.lookup(self.csv_encoding)
        except (LookupError, TypeError) as error:
            raise ValueError(
                f"RequestLogFilesConfig.csv_encoding is {self.csv_encoding!r}, "
                "allowed is an encoding by Python's name, for example utf-8 or latin-1."
            ) from error

    def own_names(self, table: str) -> dict[str, str]:
        """Returns the request log's names by a table's own ones, where they differ."""
        names = (name.partition(".") for name in self.renames)
        return {column: self.renames[f"{of}.{column}"] for of, _, column in names if of == table}


def read_request_log_files(
    config: RequestLogFilesConfig, run_date: date, fields: Sequence[Field] = ()
) -> tuple[RequestLog, pd.DataFrame]:
    """Returns the request log of some files, or its days up to the run date, and the requests set aside.

    What lies outside of the wanted days is not looked at, so that a wrong row of another day stops nothing.

    Args:
        config: Where the files lie, and how they are written.
        run_date: The last day, where days are cut.
        fields: Declared features; a column that is neither one of them nor one of the log's own is kept only
            where it holds single values.
    Returns: The log, and `request_id` and `reason` of the requests that were set aside.
    Raises: FileNotFoundError if a file is missing; ValueError if a file cannot be read or lacks a column, if
        more requests are spoilt than `may_drop` allows, or if the wanted days end in one without requests.
    """
    wanted = stored_tables(config.shape, config.derived, fields)
    stored = {name: read_table(config, name, table, list(wanted)) for name, table in wanted.items()}
    if config.repeated_rows == "drop":
        stored = without_repeated_rows(stored)
    tables = five_tables(config.shape, stored, config.derived, fields, config.first_slot)
    tables["requests"] = with_times_of(config.time_unit, tables["requests"])
    log = RequestLog(**with_shared_identifiers(tables))
    if "candidates" in config.derived:
        logger.warning(
            "The log holds shown items only: no candidate was ever rejected, so a model can only reorder "
            "what was shown."
        )
    window = cut_to_window(log, run_date, config.days) if config.days else log
    return conform_but_for_spoilt(window, fields, config.may_drop)


def read_table(
    config: RequestLogFilesConfig, table: str, stored_as: StoredTable, tables: Sequence[str]
) -> pd.DataFrame:
    """Returns one table with its columns renamed, one type a column whatever the number of its parts.

    Args:
        config: Where the files lie, and how they are written.
        table: Its name.
        stored_as: What it must hold.
        tables: Names of all that are read, for errors.

    Raises: FileNotFoundError if it is missing; ValueError if it cannot be read, lacks a required column in
        one of its parts, or a required or declared column holds what no table can hold.
    """
    form = FileForm(config.format, config.csv_separator, config.csv_encoding)
    path = find_table(Path(config.folder), table, form, tables)
    stored = read_parts(path, form)
    parts = {part: _renamed(path, rows, config.own_names(table)) for part, rows in stored.items()}
    _check_renames(path, stored, config.own_names(table))
    for part, rows in parts.items():
        where = path if path.is_file() else path / part
        _check_columns(where, stored[part].column_names, rows.column_names, stored_as.required)
    return joined_parts(table, parts, stored_as.kinds)


def _renamed(path: Path, rows: pa.Table, own_names: Mapping[str, str]) -> pa.Table:
    names = [own_names.get(name, name) for name in rows.column_names]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(
            f"{path} has more than one column {repeated} after renaming, allowed is one of each."
        )
    return rows.rename_columns(names)


def _check_renames(path: Path, stored: Mapping[str, pa.Table], own_names: Mapping[str, str]) -> None:
    known = list(dict.fromkeys(name for rows in stored.values() for name in rows.column_names))
    unknown = [name for name in own_names if name not in known]
    if unknown:
        raise ValueError(f"{path} has no column(s) {unknown} to rename, allowed are its columns {known}.")


def _check_columns(path: Path, columns: list[str], names: list[str], required: tuple[str, ...]) -> None:
    missing = [name for name in required if name not in names]
    if missing:
        is_one = len(columns) == 1 and any(separator in columns[0] for separator in ";\t|")
        hint = " The cells of a CSV file are separated by `csv_separator`." if is_one else ""
        raise ValueError(
            f"{path} lacks the column(s) {missing}: it has {columns}, "
            f"required are {list(required)}. Columns of other names are mapped by `renames`.{hint}"
        )
