"""The OpenAPI document, with the fields of the model that answers."""

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from degre_pipeline.reranker.schema import Field
from degre_pipeline.serving.model.program import MOST_CANDIDATES
from degre_pipeline.serving.model.request_schema import ITEM_ID, RequestSchema
from degre_pipeline.serving.web.running_parts import Service
from degre_pipeline.serving.web.wire_schema import BODY

KINDS = {"numeric": ["number"], "tags": ["string"], "categorical": ["string", "number", "boolean"]}
"""JSON types of a field's value, which may be null, too."""


def openapi_document(app: FastAPI, service: Service) -> dict[str, Any]:
    """Returns the OpenAPI document, with the fields of the model that answers now."""
    model, settings = service.champion.model, service.settings
    document = get_openapi(title=app.title, version=app.version, routes=app.routes)
    forms = body_schema(
        model.schema if model else None,
        model.example.most_candidates if model else MOST_CANDIDATES,
        settings.max_requests,
        strict=settings.strict,
    )
    document["components"]["schemas"] |= forms
    either = [{"$ref": f"#/components/schemas/{name}"} for name in ("OneRequest", "ManyRequests")]
    operation = document["paths"]["/rerank"]["post"]
    operation["requestBody"] = {
        "required": True,
        "content": {"application/json": {"schema": {"oneOf": either}}},
    }
    if settings.token is not None:
        document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        for path in ("/version", "/metrics"):
            document["paths"][path]["get"]["security"] = [{"token": []}]
        operation["security"] = [{"token": []}]
    return document


def body_schema(
    schema: RequestSchema | None, most_candidates: int, most_requests: int, *, strict: bool
) -> dict[str, Any]:
    """Returns the JSON schema of a body, with the fields of the model that serves where there is one."""
    generic = BODY.json_schema(ref_template="#/components/schemas/{model}")["$defs"]
    request, candidate = generic["OneRequest"], generic["Candidate"]
    if schema is not None:
        request["properties"]["user"] = _part_schema(schema, schema.user, strict)
        request["properties"]["context"] = _part_schema(schema, schema.context, strict)
        fields = _part_schema(schema, schema.candidate, strict)
        item_id = {ITEM_ID: candidate["properties"][ITEM_ID]}
        candidate |= fields | {
            "properties": fields["properties"] | item_id,
            "required": [ITEM_ID, *fields["required"]],
        }
    request["properties"]["candidates"]["maxItems"] = most_candidates
    generic["ManyRequests"]["properties"]["requests"]["maxItems"] = most_requests
    return dict(generic)


def _part_schema(schema: RequestSchema, fields: Sequence[Field], strict: bool) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {field.name: _field_schema(field, schema.requires(field)) for field in fields},
        "required": [field.name for field in fields if schema.requires(field)],
        "additionalProperties": not strict,
    }


def _field_schema(field: Field, required: bool) -> dict[str, Any]:
    if required:
        return {"type": "number"}
    return {"anyOf": [{"type": kind} for kind in [*KINDS[field.kind], "null"]]}
