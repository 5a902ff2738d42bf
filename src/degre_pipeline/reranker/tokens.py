"""The one text that stands for a value of a categorical or tags field, wherever the value comes from."""

from datetime import date, time
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

_TRUTH = {"True": "true", "False": "false"}


def token(value: Any) -> str:
    """Returns the text under which a value is known: the same for a table's cell and for JSON; "" if missing.

    12, 12.0, Decimal("12.00") and "12" are one value, and so are true and "True", as Python writes it. Any
    other text stays as it is: "01" is not 1. A time is its ISO 8601 text, as 2026-01-31T09:30:00.

    Raises: ValueError: If it is a value that no text stands for.
    """
    if isinstance(value, str):
        return _TRUTH.get(value, value)
    if isinstance(value, np.generic):
        value = _plain(value)
    if value is None or value != value:  # noqa: PLR0124 - true of NaN, and of a time that is none
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    return _of_float(value) if isinstance(value, float) else _of_another(value)


def tags(value: Any) -> list[str]:
    """Returns the tags of one value, which are joined by "|"; none of a missing one."""
    return [token(tag) for tag in token(value).split("|") if tag]


def as_objects(values: Any) -> NDArray[Any]:
    """Returns values of any shape as Python objects that have the tokens of the values.

    NumPy itself turns a time of nanoseconds into a whole number, and 0.1 of 32 bits into 0.10000000149011612.
    """
    array = values if isinstance(values, np.ndarray) else np.asarray(values, dtype=object)
    if array.dtype.kind == "M":
        array = array.astype("datetime64[us]")
    elif array.dtype.kind == "f" and array.dtype.itemsize < np.dtype(np.float64).itemsize:
        array = array.astype(str).astype(np.float64)
    return array.astype(object)


def _plain(value: np.generic) -> Any:
    """Returns the Python value; of a short float the number that its digits say, as JSON would send it."""
    if isinstance(value, np.datetime64):
        return value.astype("datetime64[us]").item()
    return float(str(value)) if isinstance(value, np.floating) else value.item()


def _of_float(value: float) -> str:
    return str(int(value)) if value.is_integer() else repr(value)


def _of_another(value: Any) -> str:
    if isinstance(value, Decimal):
        number = float(value)
        same = Decimal(repr(number)) == value
        return _of_float(number) if same else format(value.normalize(), "f")
    if isinstance(value, bytes):
        return token(value.decode("utf-8"))
    if isinstance(value, date | time):
        return value.isoformat()
    raise ValueError(f"value is {value!r}; allowed: a text, a number, a truth value or a time")
