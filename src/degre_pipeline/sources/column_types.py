"""The types of the request-log columns, and the checks that name what is wrong with a column."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_bool_dtype, is_datetime64_any_dtype, is_numeric_dtype

from degre_pipeline.sources.exact_numbers import as_floats, as_whole_numbers, is_no_number
from degre_pipeline.sources.plain_columns import is_text, plain_column

_WHOLE_NUMBERS = frozenset({"request_id", "candidate_index", "slot"})
_BINARY = frozenset({"click", "conversion"})
_IDENTIFIERS = frozenset({"user_id", "item_id"})
_MAY_BE_UNKNOWN = frozenset({"ranking_score", "conversion", "price"})

Mask = NDArray[np.bool_]


def coerce(table: str, values: pd.Series) -> pd.Series:
    """Returns one request-log column in its type.

    Raises: ValueError naming table, column, what was there and what is required.
    """
    typed, missing, wrong = read_column(values)
    if missing.any():
        raise ValueError(describe_missing(table, values, missing))
    if wrong.any():
        raise ValueError(describe_wrong(table, values, wrong))
    return settle(typed)


def settle(typed: pd.Series) -> pd.Series:
    """Returns a column that `read_column` has read without a fault in its final type."""
    return typed.astype(_final_type(str(typed.name), typed))


def read_column(values: pd.Series) -> tuple[pd.Series, Mask, Mask]:
    """Returns the values that can be read in the column's type, and marks of those that cannot.

    Returns: The values, for `settle`; True where a value is missing that is
        required; True where there is a value that the column does not allow.
    """
    column = str(values.name)
    plain = plain_column(values)
    is_missing = plain.isna().to_numpy()
    typed = _cast(plain, column)
    if column in _MAY_BE_UNKNOWN:
        return typed, np.zeros_like(is_missing), is_no_number(plain, typed)
    return typed, is_missing, typed.isna().to_numpy() & ~is_missing


def describe_missing(table: str, values: pd.Series, missing: Mask) -> str:
    """Says how many required values are missing, and where the first is."""
    return (
        f"Column '{table}.{values.name}' has {int(missing.sum())} missing value(s) "
        f"in {len(values)} rows, the first in row {_first_place(missing)}, allowed is none."
    )


def describe_wrong(table: str, values: pd.Series, wrong: Mask) -> str:
    """Says which value is not allowed, and what is required."""
    return (
        f"Column '{table}.{values.name}' has type {values.dtype} ({example(values, wrong)}), "
        f"required is {_requirement(str(values.name))}."
    )


def check_key(table: str, frame: pd.DataFrame, key: tuple[str, ...]) -> None:
    """Checks that no combination of the key's values occurs twice.

    Raises: ValueError naming the first repeated values.
    """
    repeated = frame.duplicated(list(key))
    if repeated.any():
        raise ValueError(describe_repeated(table, frame, key, repeated.to_numpy()))


def describe_repeated(table: str, frame: pd.DataFrame, key: tuple[str, ...], repeated: Mask) -> str:
    """Says which values occur twice."""
    first = frame.loc[repeated, list(key)].iloc[0].to_dict()
    return (
        f"Table {table!r} repeats {first} ({int(repeated.sum())} row(s) too many), "
        f"each combination of {list(key)} may occur once."
    )


def check_at_least(table: str, values: pd.Series, lowest: int) -> None:
    """Checks that no value lies below the lowest one allowed.

    Raises: ValueError naming the smallest value.
    """
    if len(values) and values.min() < lowest:
        raise ValueError(
            f"Column '{table}.{values.name}' has the value {values.min()}, allowed is {lowest} or more."
        )


def check_same_type(identifier: str, columns: Mapping[str, pd.Series]) -> None:
    """Checks that every table holds an identifier in the same type, since otherwise no row would match.

    Raises: ValueError listing the type found in each table.
    """
    found = {table: str(values.dtype) for table, values in columns.items() if len(values)}
    if len(set(found.values())) > 1:
        raise ValueError(
            f"The tables disagree on the type of {identifier!r}: {found}; "
            "required is int64 everywhere or str everywhere: store it as text in all of them."
        )


def example(values: pd.Series, wrong: Mask) -> str:
    """Names the first wrong value and its row, counted from 0."""
    place = _first_place(wrong)
    value = values.iloc[place]
    shown = value.item() if isinstance(value, np.generic) else value
    return f"for example {shown!r} in row {place}"


def _requirement(column: str) -> str:
    """Says in words what a column must hold."""
    if column in _IDENTIFIERS:
        return "whole numbers or strings"
    if column == "requested_at":
        return "a date and time, in text as 2024-05-17 09:30:00"
    if column in _BINARY:
        return "0 or 1"
    return "whole numbers" if column in _WHOLE_NUMBERS else "numbers"


def _final_type(column: str, typed: pd.Series) -> Any:
    if column == "requested_at":
        return np.dtype("datetime64[us]")
    if column in _IDENTIFIERS and is_text(typed):
        return "str"
    return np.dtype("int64" if column in _WHOLE_NUMBERS | _IDENTIFIERS | {"click"} else "float64")


def _cast(values: pd.Series, column: str) -> pd.Series:
    """Returns the values in the column's type, missing wherever they are not allowed."""
    if column in _IDENTIFIERS:
        return values if is_text(values) else _whole_numbers(values)
    if column == "requested_at":
        return _times(values)
    if column in _WHOLE_NUMBERS:
        return _whole_numbers(values)
    numbers = as_floats(values) if is_text(values) or is_numeric_dtype(values.dtype) else _nothing(values)
    return numbers.where(numbers.isin([0.0, 1.0])) if column in _BINARY else numbers


def _whole_numbers(values: pd.Series) -> pd.Series:
    is_number = is_numeric_dtype(values.dtype) and not is_bool_dtype(values.dtype)
    return as_whole_numbers(values) if is_number or is_text(values) else _nothing(values)


def _times(values: pd.Series) -> pd.Series:
    """Casts to times without a zone; a time with a zone becomes UTC."""
    if not (is_text(values) or is_datetime64_any_dtype(values.dtype)):
        return _nothing(values)
    return pd.to_datetime(values, utc=True, format="ISO8601", errors="coerce").dt.tz_localize(None)


def _nothing(values: pd.Series) -> pd.Series:
    return pd.Series(np.nan, index=values.index, name=values.name)


def _first_place(marked: Mask) -> int:
    return int(marked.argmax())
