"""What goes over the wire: the form of bodies and answers, whatever the model."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Required

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictStr,
    TypeAdapter,
    ValidationError,
    with_config,
)
from pydantic_core import from_json
from typing_extensions import TypedDict  # pydantic takes none from `typing` before Python 3.12

from degre_pipeline.serving.model.request_schema import Request

LARGEST = 2**63 - 1
Integer = Annotated[int, Field(strict=True, ge=-LARGEST - 1, le=LARGEST)]
Id = Annotated[StrictStr, Field(max_length=256)] | Integer
Part = dict[str, Any]
"""Values by field; the model checks those of its own fields, and reads no others."""
FallbackReason = Literal["deadline", "error", "no_model"]
MESSAGE_LENGTH = 500


@with_config(ConfigDict(extra="allow"))
class Candidate(TypedDict, total=False):
    """One candidate: its id and the fields of group item and score, which the model itself checks."""

    item_id: Required[Id]


@with_config(ConfigDict(extra="forbid"))
class OneRequest(TypedDict, total=False):
    """One visit to rerank for, with raw feature values; null or absent is a missing value."""

    request_id: Id | None
    user: Part
    context: Part
    candidates: Required[Annotated[list[Candidate], Field(min_length=1)]]


@with_config(ConfigDict(extra="forbid"))
class ManyRequests(TypedDict):
    """Several requests, answered together."""

    requests: Annotated[list[OneRequest], Field(min_length=1)]


@with_config(ConfigDict(extra="forbid"))
class _Several(TypedDict):
    """`ManyRequests`, before each request is checked by itself."""

    requests: Annotated[list[Any], Field(min_length=1)]


BODY: TypeAdapter[Any] = TypeAdapter(OneRequest | ManyRequests)
_ONE: TypeAdapter[Any] = TypeAdapter(OneRequest)
_MANY: TypeAdapter[Any] = TypeAdapter(_Several)
_ID: TypeAdapter[Any] = TypeAdapter(Id)


class AnsweredList(BaseModel):
    """The list for one request: a `RankedList`, and what was wrong.

    Attributes:
        request_id: As in the request, or made up where it had none.
        item_ids: Items in the order to show them; empty if the request was refused.
        candidate_indices: Their places among the candidates.
        probabilities: Of each item at its slot among those not yet chosen; empty in a fallback.
        fallback: Why the list is not the model's; null for a list of the model's.
        error: Why the request was refused, and what is allowed; null otherwise.
    """

    request_id: int | str | None
    item_ids: list[int | str]
    candidate_indices: list[int]
    probabilities: list[float]
    fallback: FallbackReason | None
    error: str | None


class Answer(BaseModel):
    """The lists, in the order of the requests, and the version of the model that they come from."""

    model_config = ConfigDict(protected_namespaces=())

    model_version: str | None
    lists: list[AnsweredList]


class Version(BaseModel):
    """Which model answers, and what last went wrong in following its alias."""

    model_config = ConfigDict(protected_namespaces=())

    service_version: str
    model_name: str
    alias: str
    model_version: str | None
    runner: str | None
    trouble: str | None


class Problem(BaseModel):
    """What was wrong."""

    detail: str


class BadBodyError(ValueError):
    """A body of a wrong form; the message says where it is wrong and what is allowed."""


@dataclass(frozen=True)
class Refused:
    """A request of a wrong form, and why it was refused."""

    request_id: int | str | None
    error: str


def parse_body(body: bytes, most_requests: int, most_candidates: int) -> list[Request | Refused]:
    """Returns the requests of a body; of several, one of a wrong form is refused without the others.

    Args:
        body: As it came.
        most_requests: Allowed in one body.
        most_candidates: Allowed in one body, those of all requests together.
    Raises: BadBodyError: If it is no JSON, or not of the form, naming the first fault.
    """
    try:
        content = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise BadBodyError(f"body: {error}"[:MESSAGE_LENGTH]) from None
    if not isinstance(content, Mapping) or "requests" not in content:
        return [_request(_validated(_ONE, content))]
    records = _validated(_MANY, content)["requests"]
    if len(records) > most_requests:
        raise BadBodyError(f"there are {len(records)} requests; allowed: {most_requests} at most in one call")
    candidates = sum(map(_candidates, records))
    if candidates > most_candidates:
        raise BadBodyError(
            f"there are {candidates} candidates; allowed: {most_candidates} at most in one call"
        )
    return [_request_or_refused(record, place) for place, record in enumerate(records)]


def _candidates(record: Any) -> int:
    given = record.get("candidates") if isinstance(record, Mapping) else None
    return len(given) if isinstance(given, list) else 0


def _request(record: Mapping[str, Any]) -> Request:
    return Request(
        record["candidates"], record.get("user", {}), record.get("context", {}), record.get("request_id")
    )


def _request_or_refused(record: Any, place: int) -> Request | Refused:
    try:
        return _request(_validated(_ONE, record, ("requests", place)))
    except BadBodyError as error:
        given = record.get("request_id") if isinstance(record, Mapping) else None
        return Refused(given if _is_id(given) else None, str(error))


def _is_id(value: Any) -> bool:
    try:
        _ID.validate_python(value)
    except ValidationError:
        return False
    return True


def _validated(form: TypeAdapter[Any], content: Any, place: tuple[str | int, ...] = ()) -> Any:
    try:
        return form.validate_python(content)
    except ValidationError as error:
        raise BadBodyError(_first_fault(error, place)) from None


def _first_fault(error: ValidationError, place: tuple[str | int, ...]) -> str:
    fault = error.errors(include_url=False, include_context=False)[0]
    path = [str(step) for step in (*place, *fault["loc"])]
    given = "" if fault["type"] in ("missing", "json_invalid") else f" (given: {fault['input']!r})"
    return f"{'.'.join(path) or 'body'}: {fault['msg']}{given}"[:MESSAGE_LENGTH]
