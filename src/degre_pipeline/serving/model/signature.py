"""The MLflow signature of the served model: its fields and the types that real requests have."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mlflow.models import ModelSignature
from mlflow.pyfunc import PyFuncModel
from mlflow.types import ColSpec, DataType, Schema, TensorSpec
from mlflow.types.schema import AnyType, Array, Map, Object, Property

from degre_pipeline.reranker.schema import Field
from degre_pipeline.serving.model.request_schema import ITEM_ID, Request, RequestSchema, plain

Type = DataType | AnyType
ANY = AnyType()  # type: ignore[no-untyped-call]
_TYPES: dict[type, DataType] = {str: DataType.string, int: DataType.long, bool: DataType.boolean}


def request_signature(schema: RequestSchema, requests: Sequence[Request]) -> ModelSignature:
    """Returns the signature of requests like the given ones.

    Categorical values and ids have the type they have in the requests, tags are texts. Numbers are `Any`,
    because MLflow refuses a whole number where it expects a double; the model itself checks them.

    Args:
        schema: Of the served model.
        requests: Real requests, at least one.
    """
    candidates = [candidate for request in requests for candidate in request.candidates]
    item_id = type_of(candidate[ITEM_ID] for candidate in candidates)
    features = [field for field in schema.candidate if field.name != ITEM_ID]
    candidate = Object([Property(ITEM_ID, item_id), *_properties(schema, features, candidates)])
    request_id = type_of(request.request_id for request in requests)
    inputs: list[ColSpec | TensorSpec] = [
        ColSpec(request_id, "request_id", required=False),
        _part("user", schema, schema.user, [request.user for request in requests]),
        _part("context", schema, schema.context, [request.context for request in requests]),
        ColSpec(Array(candidate), "candidates"),
    ]
    outputs: list[ColSpec | TensorSpec] = [
        ColSpec(request_id, "request_id"),
        ColSpec(Array(item_id), "item_ids"),
        ColSpec(Array(DataType.long), "candidate_indices"),
        ColSpec(Array(DataType.double), "probabilities"),
    ]
    return ModelSignature(Schema(inputs), Schema(outputs))


def as_record(request: Request) -> dict[str, Any]:
    """Returns a request as the JSON object that the model takes; a copy, since MLflow writes into it."""
    request_id = {} if request.request_id is None else {"request_id": request.request_id}
    return {
        **request_id,
        "user": dict(request.user),
        "context": dict(request.context),
        "candidates": [dict(candidate) for candidate in request.candidates],
    }


def candidate_lists(model: PyFuncModel, requests: Sequence[Request]) -> list[list[int]]:
    """Returns the candidate indices of every request's list, by a model that MLflow loaded."""
    answer: Any = model.predict([as_record(request) for request in requests])
    lists: list[list[int]] = answer["candidate_indices"].to_list()
    return lists


def type_of(values: Iterable[Any]) -> Type:
    """Returns the one MLflow type of all values that are there, or `Any` if they have none in common."""
    kinds = {type(plain(value)) for value in values if value is not None}
    only = kinds.pop() if len(kinds) == 1 else None
    return _TYPES.get(only, ANY) if only else ANY


def _part(
    name: str, schema: RequestSchema, fields: Sequence[Field], parts: Sequence[Mapping[str, Any]]
) -> ColSpec:
    """Returns the column of a part; MLflow has no object without properties, so an empty one is a map."""
    if not fields:
        return ColSpec(Map(ANY), name, required=False)
    return ColSpec(Object(_properties(schema, fields, parts)), name)


def _properties(
    schema: RequestSchema, fields: Sequence[Field], parts: Sequence[Mapping[str, Any]]
) -> list[Property]:
    return [
        Property(field.name, _field_type(field, parts), required=schema.requires(field)) for field in fields
    ]


def _field_type(field: Field, parts: Sequence[Mapping[str, Any]]) -> Type:
    if field.kind == "numeric":
        return ANY
    return DataType.string if field.kind == "tags" else type_of(part.get(field.name) for part in parts)
