"""One rule for each kind of field: what its column may hold, and the form in which it is kept.

The form is one that a client can send as JSON, so that a value is the same in training and in serving.
"""

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import pandas as pd
import pyarrow as pa
from pandas.api import types

from degre_pipeline.reranker.schema import Field, Group, Kind
from degre_pipeline.reranker.tokens import token
from degre_pipeline.sources.column_families import LIST, family_of, read_as
from degre_pipeline.sources.column_types import Mask, example
from degre_pipeline.sources.exact_numbers import as_floats, is_no_number
from degre_pipeline.sources.feature_tables import FeatureTables
from degre_pipeline.sources.plain_columns import as_series, is_text, plain_column
from degre_pipeline.sources.request_log import CONTRACT_COLUMNS, RequestLog

TABLE_OF_GROUP: Mapping[Group, str] = {
    "user": "users",
    "item": "items",
    "context": "requests",
    "score": "candidates",
}
_ALLOWED: Mapping[Kind, str] = {
    "numeric": "finite numbers",
    "categorical": "texts, finite numbers, truth values or times",
    "tags": "texts of tags joined by '|', or lists of tags",
}


def kinds_of(fields: Iterable[Field]) -> dict[str, dict[str, Kind]]:
    """Returns the kinds of the declared fields, by table and column."""
    kinds: dict[str, dict[str, Kind]] = {table: {} for table in TABLE_OF_GROUP.values()}
    for field in fields:
        kinds[TABLE_OF_GROUP[field.group]][field.name] = field.kind
    return kinds


def in_declared_form(log: RequestLog, fields: Iterable[Field]) -> RequestLog:
    """Returns the log with every declared column in the form of its kind.

    Numeric fields hold numbers, none of them infinite; tags are text; times of a categorical field are ISO
    8601 text. A declared column that a table lacks is left to whoever reads it.

    Raises: ValueError: If a column holds what its kind does not allow, naming column and value.
    """
    kept = dict(log.tables())
    for name, kinds in kinds_of(fields).items():
        forms = {
            column: _checked_form(name, kept[name][column], kind)
            for column, kind in kinds.items()
            if column in kept[name]
        }
        changed = {column: form for column, form in forms.items() if form is not kept[name][column]}
        kept[name] = kept[name].assign(**changed) if changed else kept[name]
    return RequestLog(**kept)


def check_declared_form(tables: FeatureTables, fields: Iterable[Field]) -> None:
    """Checks that every declared column has the form of its kind already.

    Raises: ValueError: If one has not, naming column and value.
    """
    for name, kinds in kinds_of(fields).items():
        for column, kind in kinds.items():
            values = getattr(tables, name)[column]
            if _checked_form(name, values, kind) is not values:
                raise ValueError(
                    f"Column '{name}.{column}' has type {values.dtype} "
                    f"({example(values, values.notna().to_numpy())}), as another kind of field than {kind!r} "
                    "is kept; read the log again for this declaration: kedro run --pipeline=ingestion"
                )


def declared_form(values: pd.Series, kind: Kind) -> tuple[pd.Series, Mask]:
    """Returns the column in the form of its kind, itself if it has it, and True where a value has none."""
    plain = plain_column(values)
    form, wrong = _FORMS[kind](plain)
    if form is plain and (is_text(values) or types.infer_dtype(values, skipna=True) in ("string", "empty")):
        return values, wrong
    return form, wrong & values.notna().to_numpy()


def describe_wrong_form(table: str, values: pd.Series, kind: Kind, wrong: Mask) -> str:
    """Says which value a field does not allow, and which it allows."""
    return (
        f"Column '{table}.{values.name}' has type {values.dtype} ({example(values, wrong)}), "
        f"allowed for a field of kind {kind!r}: {_ALLOWED[kind]}, or a missing value"
    )


def _checked_form(table: str, values: pd.Series, kind: Kind) -> pd.Series:
    form, wrong = declared_form(values, kind)
    if wrong.any():
        raise ValueError(describe_wrong_form(table, values, kind, wrong))
    if form is not values and values.name in CONTRACT_COLUMNS[table]:
        raise ValueError(
            f"Field {values.name!r} of kind {kind!r} is the log's own column '{table}.{values.name}' of type "
            f"{values.dtype}; allowed: a kind that reads it as it is, or a column of another name"
        )
    return form


def _numeric(values: pd.Series) -> tuple[pd.Series, Mask]:
    if is_text(values):
        numbers = as_floats(values)
    elif values.dtype.kind in "iuf":
        numbers = values if isinstance(values.dtype, np.dtype) else values.astype("float64")
    else:
        return values, values.notna().to_numpy()
    infinite = np.isinf(numbers.to_numpy(dtype=np.float64, copy=False))
    return numbers, infinite | is_no_number(values, numbers)


def _categorical(values: pd.Series) -> tuple[pd.Series, Mask]:
    if values.dtype.kind == "M":
        return _as_tokens(values), _none(values)
    if values.dtype.kind == "f":
        exact = values if values.dtype != np.float32 else _with_shown_digits(values)
        return exact, np.isinf(values.to_numpy(dtype=np.float64, na_value=np.nan))
    is_allowed = is_text(values) or values.dtype.kind in "iub"
    return values, _none(values) if is_allowed else values.notna().to_numpy()


def _tags(values: pd.Series) -> tuple[pd.Series, Mask]:
    if is_text(values) or values.isna().all():
        return values, _none(values)
    if values.dtype.kind in "iufbM":
        form, wrong = _categorical(values)
        return _as_tokens(form), wrong
    try:
        stored = pa.chunked_array([pa.array(values, from_pandas=True)])
        if family_of(stored.type) == LIST:
            return as_series(read_as(LIST, [stored]), values.name, values.index), _none(values)
    except (pa.ArrowException, ValueError):
        pass
    return values, values.notna().to_numpy()


def _with_shown_digits(values: pd.Series) -> pd.Series:
    """Returns the numbers that short floats say: 0.1, as JSON would send it, for 0.1 of 32 bits."""
    return pd.Series(values.to_numpy().astype(str).astype(np.float64), index=values.index, name=values.name)


def _as_tokens(values: pd.Series) -> pd.Series:
    return values.map(token, na_action="ignore").astype("str")


def _none(values: pd.Series) -> Mask:
    return np.zeros(len(values), dtype=np.bool_)


_FORMS: Mapping[Kind, Callable[[pd.Series], tuple[pd.Series, Mask]]] = {
    "numeric": _numeric,
    "categorical": _categorical,
    "tags": _tags,
}
