"""Your own log: five Parquet or CSV files, or folders of them, one a request-log table."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import date
from pathlib import Path

import pandas as pd

from degre_pipeline.sources.request_log import REQUIRED_COLUMNS, RequestLog, conform
from degre_pipeline.sources.window import cut_to_window

FORMATS = ("parquet", "csv")
TABLES = tuple(table.name for table in fields(RequestLog))


@dataclass(frozen=True, kw_only=True)
class RequestLogFilesConfig:
    """Where a log's five files lie and what their columns are called.

    Attributes:
        folder: Folder with requests, candidates, exposures, users and items, each ending in `.{format}`: a
            file, or a folder of them, as Spark writes it, whose parts are read one after another.
        format: "parquet" or "csv".
        renames: Own column names, as "table.own_name" to the request log's name, for example
            {"candidates.score": "ranking_score"}.
        days: Days that are read, the last one being the run date; 0 reads the whole log, whatever the date.

    Raises: ValueError if the format, the form of a rename or the number of days is not allowed.
    """

    folder: str
    format: str
    renames: dict[str, str] = field(default_factory=dict)
    days: int = 0

    def __post_init__(self) -> None:
        """Checks the format, the form of every rename and the days."""
        if self.format not in FORMATS:
            raise ValueError(
                f"RequestLogFilesConfig.format is {self.format!r}, allowed is one of {list(FORMATS)}."
            )
        for own_name in self.renames:
            table, _, column = own_name.partition(".")
            if table not in TABLES or not column:
                raise ValueError(
                    f"RequestLogFilesConfig.renames has the key {own_name!r}, allowed is 'table.column' "
                    f"with a table of {list(TABLES)}."
                )
        if not isinstance(self.days, int) or self.days < 0:
            raise ValueError(
                f"RequestLogFilesConfig.days is {self.days!r}, allowed is a whole number from 0."
            )


def read_request_log_files(config: RequestLogFilesConfig, run_date: date) -> RequestLog:
    """Returns the request log kept in five files, or its days up to the run date.

    What lies outside of the wanted days is not looked at, so that a wrong row of another day stops nothing.

    Raises: FileNotFoundError if a file is missing; ValueError if a file cannot be read, lacks a column, or
        holds values that `conform` does not allow, or if the wanted days end in one without requests.
    """
    log = RequestLog(**{table: _read_table(config, table) for table in TABLES})
    return conform(cut_to_window(log, run_date, config.days) if config.days else log)


def _read_table(config: RequestLogFilesConfig, table: str) -> pd.DataFrame:
    """Reads one file, renames its columns and checks that the required ones are there."""
    path = Path(config.folder) / f"{table}.{config.format}"
    if not path.exists():
        raise FileNotFoundError(
            f"Request-log file {path} does not exist. Required in {config.folder} are "
            f"{[f'{name}.{config.format}' for name in TABLES]}."
        )
    frame = _read_file(path, config.format)
    own_names = {
        own_name.partition(".")[2]: name
        for own_name, name in config.renames.items()
        if own_name.partition(".")[0] == table
    }
    _check_renames(path, frame, own_names)
    renamed = frame.rename(columns=own_names)
    _check_columns(path, frame, renamed, REQUIRED_COLUMNS[table])
    return renamed


def _read_file(path: Path, file_format: str) -> pd.DataFrame:
    try:
        if path.is_file():
            return _read_part(path, file_format)
        parts = sorted(path.glob(f"*.{file_format}"))
        if not parts:
            raise FileNotFoundError(
                f"{path} is a folder without a *.{file_format} file; at least one is needed."
            )
        return pd.concat([_read_part(part, file_format) for part in parts], ignore_index=True)
    except ValueError as error:
        raise ValueError(f"Cannot read {path} as {file_format}: {error}") from error


def _read_part(path: Path, file_format: str) -> pd.DataFrame:
    return pd.read_parquet(path) if file_format == "parquet" else pd.read_csv(path, low_memory=False)


def _check_renames(path: Path, frame: pd.DataFrame, own_names: Mapping[str, str]) -> None:
    unknown = [name for name in own_names if name not in frame.columns]
    if unknown:
        raise ValueError(
            f"{path} has no column(s) {unknown} to rename, allowed are its columns {list(frame.columns)}."
        )


def _check_columns(path: Path, frame: pd.DataFrame, renamed: pd.DataFrame, required: tuple[str, ...]) -> None:
    missing = [name for name in required if name not in renamed.columns]
    if missing:
        raise ValueError(
            f"{path} lacks the column(s) {missing}: it has {list(frame.columns)}, "
            f"required are {list(required)}. Columns of other names are mapped by `renames`."
        )
    repeated = sorted(renamed.columns[renamed.columns.duplicated()])
    if repeated:
        raise ValueError(
            f"{path} has more than one column {repeated} after renaming, allowed is one of each."
        )
