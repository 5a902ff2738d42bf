"""Brings a column of any type of pandas or Arrow into the few in which values are read and compared here."""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from degre_pipeline.sources.column_families import NESTED, family_of, read_as

_PLAIN_KINDS = "iufbM"


def plain_column(values: pd.Series) -> pd.Series:
    """Returns the column as whole numbers, floats, truth values, texts or times.

    What has no such form, a column of lists or of mixed kinds, comes back as it is.
    """
    if is_text(values) or _is_plain(values.dtype):
        return values
    try:
        stored = pa.chunked_array([pa.array(values, from_pandas=True)])
    except pa.ArrowException:
        return values
    family = family_of(stored.type)
    if family in NESTED:
        return values
    return as_series(read_as(family, [stored]), values.name, values.index)


def as_series(read: pa.ChunkedArray, name: Any, index: pd.Index | None = None) -> pd.Series:
    """Returns what `read_as` has read as pandas holds it; whole numbers stay whole beside missing ones."""
    masked = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}
    by_type = masked.get if read.null_count else None
    series: pd.Series = read.to_pandas(types_mapper=by_type).rename(name)
    return series if index is None else series.set_axis(index)


def is_text(values: pd.Series) -> bool:
    """Returns whether the column's type is that of texts."""
    return isinstance(values.dtype, pd.StringDtype)


def _is_plain(dtype: Any) -> bool:
    if dtype == np.dtype(np.uint64):  # may hold what 64 bits with a sign do not
        return False
    return dtype.kind in _PLAIN_KINDS and not isinstance(dtype, pd.ArrowDtype)
