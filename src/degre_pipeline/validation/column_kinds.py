"""The kinds of values a column may hold, in words that mean the same for every pandas type."""

from collections.abc import Iterable

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
    if types.is_bool_dtype(values):
        return OTHER
    if types.is_integer_dtype(values):
        return WHOLE
    if types.is_numeric_dtype(values):
        return NUMBER
    if types.is_datetime64_any_dtype(values):
        return TIME
    # On an object column this looks at the values: True only if all of them are strings.
    if types.is_string_dtype(values):
        return TEXT
    if values.map(types.is_list_like).all():
        return LIST
    return OTHER
