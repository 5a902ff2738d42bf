"""What a request to the served model looks like, derived from the declared fields, and its check."""

from __future__ import annotations

import math
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from degre_pipeline.reranker.features import FeatureSpace
from degre_pipeline.reranker.schema import Field
from degre_pipeline.reranker.tokens import token

ITEM_ID = "item_id"
ItemId = int | str


@dataclass(frozen=True)
class Request:
    """One visit to rerank for, with raw feature values; None or an absent key means a missing value.

    Attributes:
        candidates: One mapping for each candidate: `item_id` and the fields of group item and score.
        user: Fields of group user.
        context: Fields of group context.
        request_id: Comes back with the list and is named in errors.
    """

    candidates: Sequence[Mapping[str, Any]]
    user: Mapping[str, Any]
    context: Mapping[str, Any]
    request_id: ItemId | None = None


@dataclass(frozen=True)
class RequestSchema:
    """The declared fields by the part of a request that carries them."""

    user: tuple[Field, ...]
    context: tuple[Field, ...]
    candidate: tuple[Field, ...]

    @classmethod
    def of(cls, space: FeatureSpace) -> RequestSchema:
        """Returns the schema of a feature space."""

        def fields(*groups: str) -> tuple[Field, ...]:
            return tuple(field for field in space.fields if field.group in groups)

        return cls(fields("user"), fields("context"), fields("item", "score"))

    def check(self, request: Request, position: int) -> None:
        """Checks a request before it is encoded.

        Args:
            request: The request.
            position: Its place among the requests; names it when it has no id.
        Raises: ValueError: On a missing or unknown key, a value of the wrong kind, a candidate that occurs
            twice, or no candidate, naming request, candidate, field, value and what is allowed.
        """
        where = f"request {position if request.request_id is None else plain(request.request_id)!r}"
        _check_part(f"{where}, user", request.user, self.user)
        _check_part(f"{where}, context", request.context, self.context)
        if not isinstance(request.candidates, list | tuple | np.ndarray) or not len(request.candidates):
            raise ValueError(f"{where}: candidates is {request.candidates!r}; allowed: a list, not empty")
        first_place: dict[Any, int] = {}
        for index, candidate in enumerate(request.candidates):
            _check_part(f"{where}, candidate {index}", candidate, self.candidate, (ITEM_ID,))
            item_id = _checked_item_id(f"{where}, candidate {index}", plain(candidate[ITEM_ID]))
            if first_place.setdefault(item_id, index) != index:
                raise ValueError(
                    f"{where}, candidate {index}: {ITEM_ID} is {item_id!r}, as of candidate "
                    f"{first_place[item_id]}; allowed: every item once"
                )


def is_required(field: Field) -> bool:
    """Returns whether every request must give the field: ranking has scored every candidate."""
    return field.group == "score" and field.kind == "numeric"


def plain(value: Any) -> Any:
    """Returns a NumPy scalar as the Python value it holds, and anything else as it is."""
    return value.item() if isinstance(value, np.generic) else value


def plain_value(field: Field, value: Any) -> Any:
    """Returns a checked value as the feature space reads it, independent of the other values beside it.

    True equals 1 for Python, yet the two are different categories.
    """
    return token(value) if field.kind == "categorical" else plain(value)


def _check_part(where: str, part: Any, fields: Sequence[Field], keys: Collection[str] = ()) -> None:
    """Raises ValueError for the first key or value that is not allowed; `keys` must be there too."""
    if not isinstance(part, Mapping):
        raise ValueError(f"{where} is {part!r}; allowed: a mapping from field to value")
    allowed = {*keys, *(field.name for field in fields)}
    required = {*keys, *(field.name for field in fields if is_required(field))}
    unknown, missing = sorted(set(part) - allowed, key=str), sorted(required - set(part))
    if unknown or missing:
        raise ValueError(
            f"{where}: unknown keys {unknown}, missing keys {missing}; allowed: {sorted(allowed)}"
        )
    for field in fields:
        value = plain(part.get(field.name))
        fault = _allowed_instead(field, value)
        if fault is not None:
            raise ValueError(f"{where}, field {field.name!r}: value is {value!r}; allowed: {fault}")


def _checked_item_id(where: str, item_id: Any) -> Any:
    if isinstance(item_id, bool) or not isinstance(item_id, int | str):
        raise ValueError(f"{where}: {ITEM_ID} is {item_id!r}; allowed: an integer or a text")
    return item_id


def _allowed_instead(field: Field, value: Any) -> str | None:
    """Returns what is allowed in the value's place, or None if the value itself is allowed."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    finite = number and abs(value) <= sys.float_info.max
    if is_required(field):
        return None if finite else "a finite number"
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if field.kind == "numeric":
        return None if finite else "a finite number, or None for missing"
    if field.kind == "tags":
        return None if isinstance(value, str) else 'a text of tags joined by "|", or None for missing'
    scalar = number or isinstance(value, str | bool)
    return None if scalar else "a text, a number or a truth value, or None for missing"
