"""The kinds of values a column may hold, in words that mean the same for every pandas type."""

from collections.abc import Callable, Iterable

import pandas as pd
from pandas.api import types

WHOLE, NUMBER, TEXT, TIME, LIST, OTHER = "whole number", "number", "text", "time", "list", "other"
ABSENT = "no such column"
IDENTIFIER = (WHOLE, TEXT)
NUMERIC = (WHOLE, NUMBER)


def column_kinds(frame: pd.DataFrame, columns: Iterable[str]) -> pd.DataFrame:
    """Return one row: the kind of each of these columns, under the column's name."""
    return pd.DataFrame([{name: _kind(frame[name]) if name in frame else ABSENT for name in columns}])


def _kind(values: pd.Series) -> str:
    for kind, holds in _KINDS:
        if holds(values):
            return kind
    return OTHER


# In this order: a truth value also counts as numeric, and any empty column as a list.
_KINDS: tuple[tuple[str, Callable[[pd.Series], bool]], ...] = (
    (OTHER, types.is_bool_dtype),
    (WHOLE, types.is_integer_dtype),
    (NUMBER, types.is_numeric_dtype),
    (TIME, types.is_datetime64_any_dtype),
    (TEXT, types.is_string_dtype),  # of an object column: if all its values are strings
    (LIST, lambda values: bool(values.map(types.is_list_like).all())),
)
