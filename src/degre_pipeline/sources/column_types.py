"""The types of the request-log columns, and the checks that name what is wrong with a column."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype, is_string_dtype

_WHOLE_NUMBERS = frozenset({"request_id", "candidate_index", "slot"})
_BINARY = frozenset({"click", "conversion"})
_IDENTIFIERS = frozenset({"user_id", "item_id"})
_MAY_BE_UNKNOWN = frozenset({"ranking_score", "conversion", "price"})


def coerce(table: str, values: pd.Series) -> pd.Series:
    """Returns one request-log column in its type.

    Raises: ValueError naming table, column, what was there and what is required.
    """
    column = str(values.name)
    if column not in _MAY_BE_UNKNOWN and values.isna().any():
        raise ValueError(
            f"Column '{table}.{column}' has {int(values.isna().sum())} missing value(s) "
            f"in {len(values)} rows, the first in row {_first_place(values.isna())}, allowed is none."
        )
    try:
        return _cast(values, column)
    except (ValueError, TypeError, OverflowError) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(
            f"Column '{table}.{column}' has type {values.dtype} ({reason}), "
            f"required is {_requirement(column)}."
        ) from error


def check_key(table: str, frame: pd.DataFrame, key: tuple[str, ...]) -> None:
    """Checks that no combination of the key's values occurs twice.

    Raises: ValueError naming the first repeated values.
    """
    repeated = frame.duplicated(list(key))
    if repeated.any():
        first = frame.loc[repeated, list(key)].iloc[0].to_dict()
        raise ValueError(
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
            "required is int64 everywhere or str everywhere."
        )


def _requirement(column: str) -> str:
    """Says in words what a column must hold."""
    if column in _IDENTIFIERS:
        return "whole numbers or strings"
    if column == "requested_at":
        return "a date and time, in text as 2024-05-17 09:30:00"
    if column in _BINARY:
        return "0 or 1"
    return "whole numbers" if column in _WHOLE_NUMBERS else "numbers"


def _cast(values: pd.Series, column: str) -> pd.Series:
    if column in _IDENTIFIERS:
        return _whole_numbers(values) if is_numeric_dtype(values.dtype) else _strings(values)
    if column == "requested_at":
        return _times(values)
    if column in _BINARY:
        return _binary(values, column)
    return _whole_numbers(values) if column in _WHOLE_NUMBERS else _numbers(values)


def _numbers(values: pd.Series) -> pd.Series:
    if not is_numeric_dtype(values.dtype) and not values.isna().all():
        no_number = pd.to_numeric(values, errors="coerce").isna() & values.notna()
        raise TypeError(_example(values, no_number if no_number.any() else values.notna()))
    return values.astype("float64")


def _whole_numbers(values: pd.Series) -> pd.Series:
    if not is_numeric_dtype(values.dtype) or is_bool_dtype(values.dtype):
        raise TypeError(_example(values))
    whole = values.astype("int64")
    if (whole != values).any():
        raise ValueError(_example(values, whole != values))
    return whole


def _binary(values: pd.Series, column: str) -> pd.Series:
    """Casts a yes or no: a click is a whole number, a conversion may be unknown."""
    numbers = _numbers(values)
    allowed = numbers.isin([0.0, 1.0]) | numbers.isna()
    if not allowed.all():
        raise ValueError(_example(numbers, ~allowed))
    return numbers.astype("int64") if column == "click" else numbers


def _strings(values: pd.Series) -> pd.Series:
    if not is_string_dtype(values.dtype):
        raise TypeError(_example(values))
    return values.astype("str")


def _times(values: pd.Series) -> pd.Series:
    """Casts to times without a zone; a time with a zone becomes UTC."""
    if is_numeric_dtype(values.dtype):
        raise TypeError(_example(values))
    times = pd.to_datetime(values, utc=True, format="ISO8601").dt.tz_localize(None)
    return times.astype(np.dtype("datetime64[us]"))


def _example(values: pd.Series, wrong: pd.Series | None = None) -> str:
    """Names the first wrong value, or the first of all, and its row, counted from 0."""
    if not len(values):
        return "no rows"
    place = 0 if wrong is None else _first_place(wrong)
    return f"for example {values.iloc[place]!r} in row {place}"


def _first_place(marked: pd.Series) -> int:
    return int(marked.to_numpy().argmax())
