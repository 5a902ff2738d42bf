"""Fits vocabularies and bucket edges on training values and encodes raw values as indices."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from degre_pipeline.reranker.schema import Field, FieldSize
from degre_pipeline.reranker.tokens import as_objects, tags, token

UNKNOWN = 0
Indices = NDArray[np.int32]


@dataclass(frozen=True)
class FeatureSpace:
    """The declared fields with what was fitted for them: a vocabulary or the inner bucket edges.

    Attributes:
        fields: The declared fields, those of the request before those of the candidates.
        vocabularies: Tokens by field name; a token's index is its position plus one.
        edges: Ascending inner edges by field name; bucket 1 lies below the first.
    """

    fields: tuple[Field, ...]
    vocabularies: Mapping[str, tuple[str, ...]]
    edges: Mapping[str, tuple[float, ...]]

    def sizes(self) -> tuple[FieldSize, ...]:
        """Returns the sizes that a model needs to build its embeddings."""
        return tuple(
            FieldSize(
                field.name, field.kind, field.group, field.columns, self._indices(field), field.additive
            )
            for field in self.fields
        )

    def _indices(self, field: Field) -> int:
        if field.kind == "numeric":
            return len(self.edges[field.name]) + 2
        return len(self.vocabularies[field.name]) + 1

    def encode(self, name: str, values: Any) -> Indices:
        """Encodes raw values of one field.

        Args:
            name: A declared field.
            values: Raw values of any shape [...]; None and NaN mean missing.
        Returns: Indices [..., columns]; unknown and missing values are 0.
        Raises: KeyError: If the field is not declared.
        """
        field = self.field(name)
        if field.kind == "numeric":
            return _encode_numeric(np.asarray(values, dtype=np.float64), self.edges[name])
        array = as_objects(values)
        if field.kind == "categorical":
            return _encode_tokens(array, self._indices_of[name])[..., None]
        return _encode_tags(array, self._indices_of[name], field.columns)

    @cached_property
    def _indices_of(self) -> Mapping[str, Mapping[str, int]]:
        """The index of every token by field; kept, since a served request looks up only a few."""
        return {name: _positions(tokens) for name, tokens in self.vocabularies.items()}

    def field(self, name: str) -> Field:
        """Returns a field by name. Raises: KeyError: naming the declared fields."""
        for field in self.fields:
            if field.name == name:
                return field
        raise KeyError(f"field {name!r} is not declared; declared: {[field.name for field in self.fields]}")

    @property
    def identity(self) -> str:
        """The SHA-256 of the JSON form: what was encoded with this space names it."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """Returns the JSON form."""
        return {
            "fields": [field.to_dict() for field in self.fields],
            "vocabularies": {name: list(tokens) for name, tokens in self.vocabularies.items()},
            "edges": {name: list(edges) for name, edges in self.edges.items()},
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> FeatureSpace:
        """Rebuilds the space from its JSON form."""
        return cls(
            tuple(Field(**field) for field in stored["fields"]),
            {name: tuple(tokens) for name, tokens in stored["vocabularies"].items()},
            {name: tuple(edges) for name, edges in stored["edges"].items()},
        )


NO_FEATURES = FeatureSpace((), {}, {})
"""Stands for no feature space, where there may be one."""


def fit_feature_space(
    fields: Sequence[Field], training_values: Mapping[str, Any], earlier: FeatureSpace | None = None
) -> FeatureSpace:
    """Fits every field on training values only.

    Args:
        fields: Declared fields.
        training_values: Raw values of the training requests by field name, any shape.
        earlier: A space of the same fields to go on from: its values keep their indices, new ones come after
            them, and its bucket edges stay.
    Returns: The fitted space.
    Raises: ValueError: If a field has no value, or a numeric field a value that is no number, or if the
        earlier space has other fields.
    """
    if earlier is not None and earlier.fields != tuple(fields):
        raise ValueError(f"fields are {tuple(fields)}; allowed: those of the earlier space, {earlier.fields}")
    vocabularies: dict[str, tuple[str, ...]] = {}
    edges: dict[str, tuple[float, ...]] = {}
    for field in fields:
        values = as_objects(training_values[field.name]).ravel()
        if field.kind == "numeric":
            fitted = _quantile_edges(field, values)
            edges[field.name] = earlier.edges[field.name] if earlier else fitted
        else:
            known = earlier.vocabularies[field.name] if earlier else ()
            new = set(_vocabulary(field, values)) - set(_positions(known))
            vocabularies[field.name] = (*known, *sorted(new))
    return FeatureSpace(tuple(fields), vocabularies, edges)


def _quantile_edges(field: Field, values: NDArray[Any]) -> tuple[float, ...]:
    try:
        numbers = values.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"field {field.name!r} is numeric, but a value is not a number: {error}") from error
    numbers = numbers[np.isfinite(numbers)]
    if not len(numbers):
        raise ValueError(f"field {field.name!r} has no finite training value; at least one is needed")
    quantiles = np.quantile(numbers, np.linspace(0, 1, field.size + 1)[1:-1])
    return tuple(float(edge) for edge in np.unique(quantiles))


def _vocabulary(field: Field, values: NDArray[Any]) -> tuple[str, ...]:
    distinct = set(values.tolist())
    if field.kind == "tags":
        tokens = {tag for value in distinct for tag in tags(value)}
    else:
        tokens = {token(value) for value in distinct} - {""}
    if not tokens:
        raise ValueError(f"field {field.name!r} has no training value; at least one is needed")
    return tuple(sorted(tokens))


def _positions(tokens: Sequence[str]) -> dict[str, int]:
    """Returns the index of every token; one that was stored in another spelling counts as it is spelt now."""
    positions: dict[str, int] = {}
    for position, text in enumerate(tokens, start=1):
        positions.setdefault(token(text), position)
    return positions


def _encode_numeric(values: NDArray[np.float64], edges: Sequence[float]) -> Indices:
    buckets = np.searchsorted(np.asarray(edges), values, side="right") + 1
    return np.where(np.isnan(values), UNKNOWN, buckets).astype(np.int32)[..., None]


def _encode_tokens(values: NDArray[Any], index: Mapping[str, int]) -> Indices:
    flat = values.ravel().tolist()
    known = {value: index.get(token(value), UNKNOWN) for value in set(flat)}
    encoded = np.fromiter((known[value] for value in flat), dtype=np.int32, count=len(flat))
    return encoded.reshape(values.shape)


def _encode_tags(values: NDArray[Any], index: Mapping[str, int], columns: int) -> Indices:
    flat = values.ravel().tolist()
    known: dict[Any, list[int]] = {}
    for value in set(flat):
        found = [index[tag] for tag in tags(value) if tag in index][:columns]
        known[value] = found + [UNKNOWN] * (columns - len(found))
    encoded = np.asarray([known[value] for value in flat], dtype=np.int32)
    return encoded.reshape(*values.shape, columns)
