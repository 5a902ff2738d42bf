"""Numbers out of columns of numbers or texts, each exactly or not at all."""

from decimal import Decimal, InvalidOperation

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from degre_pipeline.sources.plain_columns import is_text

_EXACT_IN_A_FLOAT = 2.0**53
_IDS = 2**64
"""Whole numbers without a sign that 64 bits hold."""


def as_floats(values: pd.Series) -> pd.Series:
    """Returns floats of 64 bits, NaN where a text is no number."""
    if not is_text(values):
        return values.astype("float64")
    try:
        numbers = pa.array(values, pa.string(), from_pandas=True).cast(pa.float64()).to_pandas()
    except pa.ArrowInvalid:
        numbers = pd.to_numeric(values, errors="coerce").astype("float64")
    return pd.Series(np.asarray(numbers, dtype=np.float64), index=values.index, name=values.name)


def is_no_number(values: pd.Series, numbers: pd.Series) -> NDArray[np.bool_]:
    """Returns True where there is a value of which `as_floats` made no number; "NaN" means a missing one."""
    wrong: NDArray[np.bool_] = (numbers.isna() & values.notna()).to_numpy()
    if wrong.any() and is_text(values):
        wrong = wrong & (values.str.strip().str.lower() != "nan").to_numpy(dtype=np.bool_)
    return wrong


def as_whole_numbers(values: pd.Series) -> pd.Series:
    """Returns whole numbers of 64 bits, missing where a value is none.

    An id from 2**63 to 2**64 becomes the negative number of the same bits, which no other id has.
    """
    if is_text(values):
        return _of_texts(values)
    if values.dtype.kind != "f":
        return values
    whole = values.where((values % 1 == 0) & (values.abs() <= _EXACT_IN_A_FLOAT))
    return whole.astype("int64") if whole.notna().all() else whole.astype("Int64")


def _of_texts(values: pd.Series) -> pd.Series:
    try:
        read = pa.array(values, pa.string(), from_pandas=True).cast(pa.int64())
        numbers = read.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get if read.null_count else None)
        return pd.Series(numbers.array, index=values.index, name=values.name)
    except pa.ArrowInvalid:
        of_text = {text: _whole(text) for text in values.dropna().unique()}
        numbers = [None if pd.isna(text) else of_text[text] for text in values]
        return pd.Series(pd.array(numbers, dtype="Int64"), index=values.index, name=values.name)


def _whole(text: str) -> int | None:
    try:
        number = Decimal(text.strip())
        whole = int(number)
    except (InvalidOperation, ValueError, OverflowError):
        return None
    if whole != number or not -(_IDS // 2) <= whole < _IDS:
        return None
    return whole if whole < _IDS // 2 else whole - _IDS
