"""What goes over the wire: the form of bodies and answers, whatever the model, and a model's own fields."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Required

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StrictBool,
    StrictStr,
    Tag,
    TypeAdapter,
    ValidationError,
    with_config,
)
from typing_extensions import TypedDict  # pydantic takes none from `typing` before Python 3.12

from degre_pipeline.reranker.schema import Field as FeatureField
from degre_pipeline.serving.request_schema import ITEM_ID, Request, RequestSchema, is_required

LARGEST = 2**63 - 1
Integer = Annotated[int, Field(strict=True, ge=-LARGEST - 1, le=LARGEST)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Id = Annotated[StrictStr, Field(max_length=256)] | Integer
Value = StrictStr | StrictBool | Integer | Number | None
Part = dict[str, Value]
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


def _form(body: Any) -> str:
    return "many" if isinstance(body, Mapping) and "requests" in body else "one"


Body = Annotated[
    Annotated[OneRequest, Tag("one")] | Annotated[ManyRequests, Tag("many")], Discriminator(_form)
]
_BODY: TypeAdapter[Any] = TypeAdapter(Body)


class AnsweredList(BaseModel):
    """The list for one request.

    Attributes:
        request_id: As in the request, or made up where it had none.
        item_ids: Items in the order to show them.
        candidate_indices: Their places among the candidates.
        probabilities: Of each item at its slot among those not yet chosen; empty in a fallback.
        fallback: Why the list is the incoming order; null for a list of the model's.
    """

    request_id: int | str
    item_ids: list[int | str]
    candidate_indices: list[int]
    probabilities: list[float]
    fallback: FallbackReason | None


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
    """A body that is not what the service takes; the message says where and what is allowed."""


def parse_body(body: bytes, most_requests: int) -> list[Request]:
    """Returns the requests of a body.

    Raises: BadBodyError: If it is no JSON, or not of the form, naming the first fault.
    """
    try:
        parsed = _BODY.validate_json(body)
    except ValidationError as error:
        raise BadBodyError(_first_fault(error)) from None
    records = parsed.get("requests", [parsed])
    if len(records) > most_requests:
        raise BadBodyError(f"there are {len(records)} requests; allowed: {most_requests} at most in one call")
    return [
        Request(
            record["candidates"], record.get("user", {}), record.get("context", {}), record.get("request_id")
        )
        for record in records
    ]


def check_sizes(requests: Sequence[Request], most_candidates: int) -> None:
    """Raises BadBodyError for a request with more candidates than the model takes, or an item twice."""
    for position, request in enumerate(requests):
        where = f"request {position if request.request_id is None else request.request_id!r}"
        if len(request.candidates) > most_candidates:
            raise BadBodyError(
                f"{where}: there are {len(request.candidates)} candidates; allowed: 1 to {most_candidates}"
            )
        ids = [candidate[ITEM_ID] for candidate in request.candidates]
        if len(set(ids)) < len(ids):
            raise BadBodyError(f"{where}: an {ITEM_ID} occurs twice; allowed: every item once")


def body_schema(schema: RequestSchema | None, most_candidates: int, most_requests: int) -> dict[str, Any]:
    """Returns the JSON schema of a body, with the fields of the model that serves where there is one."""
    generic = _BODY.json_schema(ref_template="#/components/schemas/{model}")["$defs"]
    request, candidate = generic["OneRequest"], generic["Candidate"]
    if schema is not None:
        request["properties"]["user"] = _part_schema(schema.user)
        request["properties"]["context"] = _part_schema(schema.context)
        own = _part_schema(schema.candidate)
        item_id = {ITEM_ID: candidate["properties"][ITEM_ID]}
        candidate |= own | {
            "properties": own["properties"] | item_id,
            "required": [ITEM_ID, *own["required"]],
        }
    request["properties"]["candidates"]["maxItems"] = most_candidates
    generic["ManyRequests"]["properties"]["requests"]["maxItems"] = most_requests
    return dict(generic)


def _part_schema(fields: Sequence[FeatureField]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {field.name: _field_schema(field) for field in fields},
        "required": [field.name for field in fields if is_required(field)],
        "additionalProperties": False,
    }


def _field_schema(field: FeatureField) -> dict[str, Any]:
    if is_required(field):
        return {"type": "number"}
    kinds = {"numeric": ["number"], "tags": ["string"], "categorical": ["string", "number", "boolean"]}
    return {"anyOf": [{"type": kind} for kind in [*kinds[field.kind], "null"]]}


def _first_fault(error: ValidationError) -> str:
    fault = error.errors(include_url=False, include_context=False)[0]
    path = [str(step) for step in fault["loc"] if step not in ("one", "many")]
    given = "" if fault["type"] in ("missing", "json_invalid") else f" (given: {fault['input']!r})"
    return f"{'.'.join(path) or 'body'}: {fault['msg']}{given}"[:MESSAGE_LENGTH]
