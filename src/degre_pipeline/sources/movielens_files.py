"""The three MovieLens-1M files: '::' separated lines in latin-1, read with every line accounted for."""

from dataclasses import dataclass
from pathlib import Path

import ibis
import pandas as pd
import pyarrow as pa

DOWNLOAD_PAGE = "https://grouplens.org/datasets/movielens/1m/"
ENCODING = "latin-1"


@dataclass(frozen=True)
class LineFormat:
    """How one file's lines look.

    Attributes:
        file_name: The file inside the data folder.
        expected: The form of a line, in the words of the data set's README.
        pattern: A regular expression with one group a column, matched against the whole line.
        columns: Column names, and whether the column is a whole number.
    """

    file_name: str
    expected: str
    pattern: str
    columns: tuple[tuple[str, bool], ...]


RATINGS = LineFormat(
    "ratings.dat",
    "UserID::MovieID::Rating::Timestamp, rating from 1 to 5",
    r"^(\d{1,9})::(\d{1,9})::([1-5])::(\d{1,10})$",
    (("user_id", True), ("item_id", True), ("rating", True), ("timestamp", True)),
)
USERS = LineFormat(
    "users.dat",
    "UserID::Gender::Age::Occupation::Zip-code, gender F or M",
    r"^(\d{1,9})::([FM])::(\d{1,3})::(\d{1,3})::(?:.*)$",
    (("user_id", True), ("gender", False), ("age", True), ("occupation", True)),
)
MOVIES = LineFormat(
    "movies.dat",
    "MovieID::Title (Year)::Genre|Genre",
    r"^(\d{1,9})::(.*\((\d{4})\))::([^:]+)$",
    (("item_id", True), ("title", False), ("year", True), ("genres", False)),
)
FORMATS = (RATINGS, USERS, MOVIES)


def read_lines(folder: str | Path, line_format: LineFormat) -> pd.DataFrame:
    """Returns the parsed lines of one file, in file order, with `line_number` counting from 1.

    Raises: FileNotFoundError if the file is missing; ValueError for a line of another form or an empty file.
    """
    path = Path(folder) / line_format.file_name
    if not path.is_file():
        raise FileNotFoundError(
            f"MovieLens file {path} does not exist. Download ml-1m.zip from {DOWNLOAD_PAGE} "
            "and run `make ml1m-data ZIP=path/to/ml-1m.zip`."
        )
    return parse_lines(split_lines(path.read_bytes()), line_format, str(path))


def split_lines(content: bytes) -> list[str]:
    """Returns the lines of a file; only a line feed ends one, since titles may hold rarer separators."""
    lines = [line.removesuffix("\r") for line in content.decode(ENCODING).split("\n")]
    return lines[:-1] if not lines[-1] else lines


def parse_lines(lines: list[str], line_format: LineFormat, path: str) -> pd.DataFrame:
    """Returns the columns of the given lines and `line_number`.

    Raises: ValueError naming the first line of another form, its number and the expected form.
    """
    if not lines:
        raise ValueError(f"MovieLens file {path} has 0 lines, expected some of {line_format.expected}.")
    numbered = pa.table({"line_number": range(1, len(lines) + 1), "line": lines})
    connection = ibis.duckdb.connect()
    try:
        frame: pd.DataFrame = connection.to_pyarrow(_parse(ibis.memtable(numbered), line_format)).to_pandas()
    finally:
        connection.disconnect()
    unparsed = frame["is_unparsed"]
    if unparsed.any():
        number = int(frame.loc[unparsed, "line_number"].iloc[0])
        raise ValueError(
            f"{path}, line {number}: cannot read {lines[number - 1]!r}, expected {line_format.expected}."
        )
    return frame.drop(columns="is_unparsed")


def _parse(lines: ibis.Table, line_format: LineFormat) -> ibis.Table:
    """Splits each line into its columns; a line of another form has nulls."""
    columns = {}
    for group, (name, is_number) in enumerate(line_format.columns, start=1):
        text = lines.line.re_extract(line_format.pattern, group)
        columns[name] = text.try_cast("int64") if is_number else text
    parsed = lines.select("line_number", is_unparsed=~lines.line.re_search(line_format.pattern), **columns)
    return parsed.order_by("line_number")
