"""Reads the file, or the folder of part files, in which a table is kept; reading changes no value."""

import csv
import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv as arrow_csv
from pyarrow import json as arrow_json

from degre_pipeline.sources.request_log import RequestLog

PARQUET, CSV, TSV, JSON_LINES = "parquet", "csv", "tsv", "jsonl"
_COMPRESSED = ("", ".gz", ".bz2", ".zst")
ENDINGS: Mapping[str, tuple[str, ...]] = {
    PARQUET: (".parquet",),
    CSV: tuple(f".csv{how}" for how in _COMPRESSED),
    TSV: tuple(f".tsv{how}" for how in _COMPRESSED),
    JSON_LINES: tuple(f".jsonl{how}" for how in _COMPRESSED),
}
"""How files of a format may end; what is compressed is read as it is."""

TABLES = tuple(table.name for table in fields(RequestLog))

_NO_NAME = re.compile(r"__index_level_\d+__|")
_JSON_BLOCK = 2**24
"""Bytes that Arrow reads at once: more than the longest line."""
_MISSING_PARTITION = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True)
class FileForm:
    """How the files of a log are written.

    Attributes:
        format: "parquet", "csv", "tsv" or "jsonl".
        separator: Between the cells of a CSV file; of a TSV file it is the tabulator.
        encoding: Of a CSV file, by Python's name.
    """

    format: str
    separator: str = ","
    encoding: str = "utf-8"


def find_table(folder: Path, table: str, form: FileForm, wanted: Sequence[str] = TABLES) -> Path:
    """Returns where a table lies: a file or folder with an ending of the format, or a folder without.

    Raises: FileNotFoundError: If it is nowhere; ValueError: If it lies in two places.
    """
    names = [*(f"{table}{ending}" for ending in ENDINGS[form.format]), table]
    found = [folder / name for name in names if (folder / name).exists()]
    if not found:
        raise FileNotFoundError(
            f"Request-log file {folder / names[0]} does not exist. Required in {folder} are "
            f"{[f'{name}{ENDINGS[form.format][0]}' for name in wanted]}."
        )
    if len(found) > 1:
        raise ValueError(
            f"Table {table!r} lies in {' and '.join(map(str, found))}; allowed: one place. Remove the other."
        )
    return found[0]


def read_parts(path: Path, form: FileForm) -> dict[str, pa.Table]:
    """Returns the parts of a table by the names of their files; a single file is a table of one part.

    Folders below the table's are read, too. A folder named `key=value`, as Hive and Spark write it, is a
    column `key` of text for the files in it. Files and folders that begin with `_` or `.` are not looked at.

    Raises: FileNotFoundError: If the folder holds no such file; ValueError: If a file cannot be read.
    """
    if path.is_file():
        return {path.name: _read_file(path, form)}
    files = sorted(
        file for file in path.rglob("*") if _is_part(file.relative_to(path), form) and file.is_file()
    )
    if not files:
        raise FileNotFoundError(
            f"{path} is a folder without a *{ENDINGS[form.format][0]} file; at least one is needed."
        )
    return {str(file.relative_to(path)): _with_partitions(file, path, form) for file in files}


def _is_part(file: Path, form: FileForm) -> bool:
    return file.name.endswith(ENDINGS[form.format]) and not any(name[0] in "_." for name in file.parts)


def _with_partitions(file: Path, folder: Path, form: FileForm) -> pa.Table:
    part = _read_file(file, form)
    for name in file.relative_to(folder).parts[:-1]:
        key, is_partition, value = (unquote(text) for text in name.partition("="))
        if is_partition and key not in part.column_names:
            cell = None if value == _MISSING_PARTITION else value
            part = part.append_column(key, pa.array([cell] * len(part), pa.string()))
    return part


def _read_file(path: Path, form: FileForm) -> pa.Table:
    try:
        read = _READERS[form.format](path, form)
    except (ValueError, LookupError, csv.Error) as error:  # Arrow has its own kinds of the first two
        raise ValueError(f"Cannot read {path} as {form.format}: {error}{_hint(error)}") from error
    names = read.column_names
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"{path} has more than one column {repeated}; allowed: one of each.")
    return read.select([name for name in names if not _NO_NAME.fullmatch(name)])


def _hint(error: Exception) -> str:
    is_encoding = "UTF8" in str(error) or isinstance(error, UnicodeError)
    return "; its encoding is set by `csv_encoding`, for example latin-1" if is_encoding else ""


def _read_parquet(path: Path, _: FileForm) -> pa.Table:
    """Returns a Parquet file with the named index levels that pandas wrote, as columns."""
    read = pq.ParquetFile(path).read()
    written_by_pandas = json.loads((read.schema.metadata or {}).get(b"pandas", b"{}"))
    for level in written_by_pandas.get("index_columns", ()):
        if isinstance(level, dict) and level["name"] and level["name"] not in read.column_names:
            values = range(level["start"], level["stop"], level["step"])
            read = read.append_column(level["name"], pa.array(values, pa.int64()))
    return read


def _read_csv(path: Path, form: FileForm) -> pa.Table:
    """Returns a CSV file as text, where an empty cell alone is missing."""
    names, is_empty = _header(path, form)
    as_text = pa.schema([(name, pa.string()) for name in names])
    if is_empty:
        return as_text.empty_table()
    return arrow_csv.read_csv(
        path,
        arrow_csv.ReadOptions(encoding=form.encoding),
        arrow_csv.ParseOptions(delimiter=form.separator, newlines_in_values=True),
        arrow_csv.ConvertOptions(column_types=as_text, null_values=[""], strings_can_be_null=True),
    )


def _read_tsv(path: Path, form: FileForm) -> pa.Table:
    return _read_csv(path, replace(form, separator="\t"))


def _read_json_lines(path: Path, _: FileForm) -> pa.Table:
    """Returns a file with one JSON object a line; a column that a line lacks is missing there."""
    return arrow_json.read_json(path, arrow_json.ReadOptions(block_size=_JSON_BLOCK))


def _header(path: Path, form: FileForm) -> tuple[list[str], bool]:
    """Returns the names of the columns, and whether there is no row below them."""
    encoding = "utf-8-sig" if form.encoding.lower() in ("utf-8", "utf8") else form.encoding
    with pa.input_stream(path, compression="detect") as raw, io.TextIOWrapper(raw, encoding) as text:
        rows = csv.reader(text, delimiter=form.separator)
        names = next(rows, None)
        if not names:
            raise ValueError("it is empty; allowed: a line with the names of the columns")
        return names, not any(rows)


_READERS: Mapping[str, Callable[[Path, FileForm], pa.Table]] = {
    PARQUET: _read_parquet,
    CSV: _read_csv,
    TSV: _read_tsv,
    JSON_LINES: _read_json_lines,
}
