"""Reads a stored column exactly: one family of values for all its parts, decided before any value is read."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from degre_pipeline.reranker.tokens import token

NOTHING, WHOLE, NUMBER, TRUTH, TEXT, TIME = (
    "nothing",
    "whole numbers",
    "numbers",
    "truth values",
    "text",
    "times",
)
LIST, OTHER = "lists", "values that no field can hold"
NESTED = (LIST, OTHER)

_SAFE_DIGITS = 15
"""Decimals of so many digits come back from a float of 64 bits as they were."""


def family_of(kind: pa.DataType) -> str:
    """Returns the family of a stored type."""
    if types.is_dictionary(kind):
        return family_of(kind.value_type)
    return next((family for family, holds in _FAMILIES.items() if holds(kind)), OTHER)


def shared_family(by_part: Mapping[str, str]) -> str:
    """Returns the one family in which all parts of a column can be read without a change.

    Text is the family of text and anything else that has a token; whole numbers are numbers, too.

    Raises: ValueError: If there is none, naming the parts.
    """
    found = set(by_part.values()) - {NOTHING}
    if len(found) <= 1:
        return found.pop() if found else NOTHING
    if found == {WHOLE, NUMBER}:
        return NUMBER
    if TEXT in found and not found & set(NESTED):
        return TEXT
    first: dict[str, str] = {}
    for part, family in by_part.items():
        if family != NOTHING:
            first.setdefault(family, part)
    listed = ", ".join(f"{family} in {part}" for family, part in first.items())
    raise ValueError(f"it holds {listed}; allowed: one kind of values in all parts")


def read_as(family: str, parts: Sequence[pa.ChunkedArray]) -> pa.ChunkedArray:
    """Returns the values of all parts, one after another, in the form that the family has here.

    Whole numbers have 64 bits, or are text where they do not fit. Numbers are floats of 64 bits. A time has
    no zone and is in UTC. The values of a list are one text, joined by "|".

    Raises: ValueError: If a value cannot be read so.
    """
    decoded = [part.unify_dictionaries().cast(_decoded(part.type)) for part in parts]
    read = [array for part in decoded for array in _READ[family](part)]
    kinds = {array.type for array in read}
    if len(kinds) > 1:  # a part whose whole numbers do not fit, or whose decimals a float would change
        read = [_as_text(array) for array in read]
    return pa.chunked_array(read, type=None if read else pa.null())


def _decoded(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if types.is_dictionary(kind) else kind


def _is_text(kind: pa.DataType) -> bool:
    holds = (types.is_string, types.is_large_string, types.is_string_view, types.is_date, types.is_time)
    return any(one(kind) for one in holds) or _is_bytes(kind)


def _is_bytes(kind: pa.DataType) -> bool:
    holds = (types.is_binary, types.is_large_binary, types.is_fixed_size_binary, types.is_binary_view)
    return any(one(kind) for one in holds)


def _is_list(kind: pa.DataType) -> bool:
    holds = (types.is_list, types.is_large_list, types.is_fixed_size_list, types.is_list_view)
    return any(one(kind) for one in holds) and family_of(kind.value_type) not in NESTED


_FAMILIES: Mapping[str, Callable[[pa.DataType], bool]] = {
    NOTHING: types.is_null,
    WHOLE: lambda kind: types.is_integer(kind) or (types.is_decimal(kind) and kind.scale == 0),
    NUMBER: lambda kind: types.is_floating(kind) or types.is_decimal(kind),
    TRUTH: types.is_boolean,
    TEXT: _is_text,
    TIME: types.is_timestamp,
    LIST: _is_list,
}


def _as_whole(part: pa.ChunkedArray) -> list[pa.Array]:
    try:
        return list(part.cast(pa.int64()).chunks)
    except pa.ArrowInvalid:
        return [_as_text(chunk) for chunk in part.chunks]


def _as_number(part: pa.ChunkedArray) -> list[pa.Array]:
    if types.is_decimal(part.type):
        return [_as_floats(chunk) for chunk in part.chunks]
    if types.is_floating(part.type) and part.type != pa.float64():
        part = part.cast(pa.float32()).cast(pa.string())  # the digits that the short float says
    return list(part.cast(pa.float64()).chunks)


def _as_floats(decimals: pa.Array) -> pa.Array:
    floats = decimals.cast(pa.string()).cast(pa.float64())
    exact = decimals.type.precision <= _SAFE_DIGITS or all(
        number is None or Decimal(repr(number)) == value
        for number, value in zip(floats.to_pylist(), decimals.to_pylist(), strict=True)
    )
    return floats if exact else _as_text(decimals)


def _as_time(part: pa.ChunkedArray) -> list[pa.Array]:
    if types.is_null(part.type):
        return list(part.cast(pa.timestamp("us")).chunks)
    try:
        part = part.cast(pa.timestamp("us", part.type.tz))
    except pa.ArrowInvalid:
        part = part.cast(pa.timestamp("ns", part.type.tz))
    return list(part.cast(pa.timestamp(part.type.unit)).chunks)


def _as_text(chunk: pa.Array) -> pa.Array:
    """Returns the tokens of the values; a missing one stays missing."""
    if _is_bytes(chunk.type):
        pc.utf8_length(chunk.cast(pa.string()))  # raises where it is no text
        return chunk.cast(pa.string())
    if types.is_integer(chunk.type) or types.is_string(chunk.type) or types.is_boolean(chunk.type):
        return chunk.cast(pa.string())
    if types.is_large_string(chunk.type) or types.is_string_view(chunk.type):
        return chunk.cast(pa.string())
    return pa.array([None if value is None else token(value) for value in chunk.to_pylist()], pa.string())


def _as_tags(part: pa.ChunkedArray) -> list[pa.Array]:
    return [pa.array([_joined(values) for values in part.to_pylist()], pa.string())]


def _joined(values: Sequence[Any] | None) -> str | None:
    if values is None:
        return None
    tokens = [token(value) for value in values]
    if any("|" in one for one in tokens):
        raise ValueError(
            f"the list {values!r} holds a tag with '|'; allowed: tags without it, which joins them"
        )
    return "|".join(one for one in tokens if one)


_READ: Mapping[str, Callable[[pa.ChunkedArray], list[pa.Array]]] = {
    NOTHING: lambda part: list(part.chunks),
    WHOLE: _as_whole,
    NUMBER: _as_number,
    TRUTH: lambda part: list(part.cast(pa.bool_()).chunks),
    TEXT: lambda part: [_as_text(chunk) for chunk in part.chunks],
    TIME: _as_time,
    LIST: _as_tags,
}
