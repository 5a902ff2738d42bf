"""What a request to the served model looks like, derived from the declared fields, and its check."""

from __future__ import annotations

import math
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from degre_pipeline.reranker.features import FeatureSpace
from degre_pipeline.reranker.schema import RANKING_SCORE, Field
from degre_pipeline.reranker.tokens import token

ITEM_ID = "item_id"
PARTS = ("user", "context", "candidate")
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
    """The declared fields by the part of a request that carries them.

    Attributes:
        user, context, candidate: Fields of each part.
        scores_itself: The model scores candidates that come without a ranking score.
    """

    user: tuple[Field, ...]
    context: tuple[Field, ...]
    candidate: tuple[Field, ...]
    scores_itself: bool = False

    @classmethod
    def of(cls, space: FeatureSpace, *, scores_itself: bool = False) -> RequestSchema:
        """Returns the schema of a feature space."""

        def fields(*groups: str) -> tuple[Field, ...]:
            return tuple(field for field in space.fields if field.group in groups)

        return cls(fields("user"), fields("context"), fields("item", "score"), scores_itself)

    def requires(self, field: Field) -> bool:
        """Returns whether every candidate must give the field."""
        return is_ranking_score(field) and not self.scores_itself

    def check(self, request: Request, position: int, *, strict: bool = False) -> None:
        """Checks a request before it is encoded.

        Args:
            request: The request.
            position: Its place among the requests; names it when it has no id.
            strict: Refuses keys that are no field of the model; they are left alone otherwise.
        Raises: ValueError: On a missing key, a value of the wrong kind, a candidate that occurs twice, or no
            candidate, naming request, candidate, field, value and what is allowed.
        """
        where = described(request, position)
        self._check_part(f"{where}, user", request.user, self.user, (), strict)
        self._check_part(f"{where}, context", request.context, self.context, (), strict)
        if not isinstance(request.candidates, list | tuple | np.ndarray) or not len(request.candidates):
            raise ValueError(f"{where}: candidates is {request.candidates!r}; allowed: a list, not empty")
        for index, candidate in enumerate(request.candidates):
            self._check_part(f"{where}, candidate {index}", candidate, self.candidate, (ITEM_ID,), strict)
        check_items(where, request.candidates)
        if self.scores_itself:
            _check_all_or_none(where, request)

    def unknown_keys(self, request: Request) -> Mapping[str, Collection[str]]:
        """Returns the keys of a checked request that the model does not read, by part."""
        candidates: set[str] = set().union(*request.candidates)
        given = {"user": set(request.user), "context": set(request.context), "candidate": candidates}
        known = {name: {field.name for field in getattr(self, name)} for name in PARTS}
        known["candidate"] |= {ITEM_ID, RANKING_SCORE} if self.scores_itself else {ITEM_ID}
        return {name: given[name] - known[name] for name in PARTS}

    def _check_part(
        self, where: str, part: Any, fields: Sequence[Field], keys: Collection[str], strict: bool
    ) -> None:
        """Raises ValueError for the first key or value that is not allowed; `keys` must be there too."""
        if not isinstance(part, Mapping):
            raise ValueError(f"{where} is {part!r}; allowed: a mapping from field to value")
        allowed = {*keys, *(field.name for field in fields)}
        required = {*keys, *(field.name for field in fields if self.requires(field))}
        unknown = sorted(set(part) - allowed, key=str) if strict else []
        missing = sorted(required - set(part))
        if unknown or missing:
            raise ValueError(
                f"{where}: unknown keys {unknown}, missing keys {missing}; allowed: {sorted(allowed)}"
            )
        for field in fields:
            value = plain(part.get(field.name))
            fault = _allowed_instead(field, value, self.requires(field))
            if fault is not None:
                raise ValueError(f"{where}, field {field.name!r}: value is {value!r}; allowed: {fault}")


def described(request: Request, position: int) -> str:
    """Returns what an error calls a request: by its id, else by its place among the requests."""
    return f"request {position if request.request_id is None else plain(request.request_id)!r}"


def check_items(where: str, candidates: Sequence[Mapping[str, Any]]) -> None:
    """Raises ValueError for an item id of another type than allowed, or one that occurs twice."""
    first_place: dict[Any, int] = {}
    for index, candidate in enumerate(candidates):
        item_id = plain(candidate[ITEM_ID])
        if isinstance(item_id, bool) or not isinstance(item_id, int | str):
            raise ValueError(
                f"{where}, candidate {index}: {ITEM_ID} is {item_id!r}; allowed: an integer or a text"
            )
        if first_place.setdefault(item_id, index) != index:
            raise ValueError(
                f"{where}, candidate {index}: {ITEM_ID} is {item_id!r}, as of candidate "
                f"{first_place[item_id]}; allowed: every item once"
            )


def is_ranking_score(field: Field) -> bool:
    """Returns whether a field is the score by which candidates were ranked: a model cannot do without it.

    Any other field may be missing in training as well as when served.
    """
    return field.name == RANKING_SCORE and field.group == "score" and field.kind == "numeric"


def is_missing(value: Any) -> bool:
    """Returns whether a value stands for none: None or NaN."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def has_ranking_score(request: Request) -> bool:
    """Returns whether a checked request came with ranking scores."""
    return not is_missing(plain(request.candidates[0].get(RANKING_SCORE)))


def without_ranking_score(request: Request) -> Request:
    """Returns the request as a client sends it who has no ranking score."""
    candidates = [
        {name: value for name, value in candidate.items() if name != RANKING_SCORE}
        for candidate in request.candidates
    ]
    return replace(request, candidates=candidates)


def plain(value: Any) -> Any:
    """Returns a NumPy scalar as the Python value it holds, and anything else as it is."""
    return value.item() if isinstance(value, np.generic) else value


def plain_value(field: Field, value: Any) -> Any:
    """Returns a checked value as the feature space reads it, independent of the other values beside it.

    True equals 1 for Python, yet the two are different categories.
    """
    return token(value) if field.kind == "categorical" else plain(value)


def _check_all_or_none(where: str, request: Request) -> None:
    """Raises ValueError if some candidates have a ranking score and others none: the scales differ."""
    missing = [is_missing(plain(candidate.get(RANKING_SCORE))) for candidate in request.candidates]
    if any(missing) and not all(missing):
        raise ValueError(
            f"{where}, candidate {missing.index(True)}: {RANKING_SCORE} is missing, and other candidates "
            "have one; allowed: one for every candidate, or for none"
        )


def _allowed_instead(field: Field, value: Any, required: bool) -> str | None:
    """Returns what is allowed in the value's place, or None if the value itself is allowed."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    finite = number and abs(value) <= sys.float_info.max
    if required:
        return None if finite else "a finite number"
    if is_missing(value):
        return None
    if field.kind == "numeric":
        return None if finite else "a finite number, or None for missing"
    if field.kind == "tags":
        return None if isinstance(value, str) else 'a text of tags joined by "|", or None for missing'
    scalar = number or isinstance(value, str | bool)
    return None if scalar else "a text, a number or a truth value, or None for missing"
