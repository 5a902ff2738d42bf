"""The routes of the service."""

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import orjson
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse

from degre_pipeline import __version__, locations
from degre_pipeline.service.bodies import check_token, read_body
from degre_pipeline.service.cache_folder import cache_folder
from degre_pipeline.service.checking import Checker
from degre_pipeline.service.document_page import document_page
from degre_pipeline.service.follower import Follower
from degre_pipeline.service.loop_lag import watch_loop
from degre_pipeline.service.measures import Measures
from degre_pipeline.service.model_source import ModelSource
from degre_pipeline.service.prediction_log import PredictionLog
from degre_pipeline.service.reranking import Answered, Outcome, Reranking
from degre_pipeline.service.schema import MESSAGE_LENGTH, Answer, Problem, Version, body_schema
from degre_pipeline.service.settings import ServiceSettings
from degre_pipeline.service.shadow import Shadow
from degre_pipeline.service.threads import Repeating
from degre_pipeline.serving.program import MOST_CANDIDATES

PROBLEMS = {
    400: "The body is not whole",
    401: "The token is missing or wrong",
    408: "The body came too slowly",
    413: "The body is too large",
    422: "The body is not what is allowed; the answer says where",
}


class Part(Protocol):
    """A part of the service that has threads of its own."""

    @property
    def threads(self) -> Sequence[Repeating]:
        """Those that must go on."""

    def start(self) -> None:
        """Begins."""

    def stop(self) -> None:
        """Ends."""


class Service:
    """The parts of a running service, put together from its settings.

    Args:
        settings: The settings.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        self.settings, self.measures = settings, Measures()
        cache = cache_folder(settings.cache_folder)
        source = ModelSource(tracking_uri(settings), settings.model_name, cache)
        first_length = settings.list_length or source.remembered_list_length(settings.alias)
        self.champion = Follower(source, settings.alias, settings, self.measures, self.measures.serves)
        self.log = (
            PredictionLog(settings.prediction_log, settings.log_seconds, self.measures)
            if settings.prediction_log
            else None
        )
        self.shadow = None
        if settings.shadow_alias:
            follower = Follower(source, settings.shadow_alias, settings, self.measures)
            self.shadow = Shadow(follower, settings.shadow_share, self.log, self.measures, random.Random())
        checker = Checker(
            self.measures,
            most_requests=settings.max_requests,
            most_candidates=settings.max_candidates,
            strict=settings.strict,
        )
        self.reranking = Reranking(
            self.champion,
            checker,
            self.measures,
            deadline_ms=settings.deadline_ms,
            first_list_length=first_length,
            log=self.log,
            shadow=self.shadow,
        )
        ranking = self.reranking
        parts: list[Part | None] = [self.champion, ranking.checks, ranking.batcher, self.shadow, self.log]
        self._parts = [part for part in parts if part is not None]

    def start(self) -> None:
        """Starts every part."""
        for part in self._parts:
            part.start()

    def stop(self) -> None:
        """Stops every part, the prediction log last."""
        for part in self._parts:
            part.stop()

    def unready(self) -> str | None:
        """Returns in a few words why no model answers or soon none will; None where all is well.

        What went wrong in detail is for those who may ask `/version`.
        """
        ended = [thread.name for part in self._parts for thread in part.threads if thread.has_ended]
        if ended:
            return f"a thread has ended, and a restart is needed: {', '.join(ended)}"
        return "no model is loaded yet" if self.champion.model is None else None


def tracking_uri(settings: ServiceSettings) -> str:
    """Returns where MLflow is: the setting, the environment, or the database in the working directory."""
    return locations.tracking_uri(settings.tracking_uri, os.environ.get("MLFLOW_TRACKING_URI"), Path.cwd())


def create_app(settings: ServiceSettings) -> FastAPI:
    """Returns the application; its parts start and stop with it."""
    service = Service(settings)
    token = settings.token.get_secret_value() if settings.token else None

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service.start()
        watching = asyncio.create_task(watch_loop(service.measures))
        yield
        watching.cancel()
        service.stop()

    app = FastAPI(
        title="degre_pipeline reranking service",
        version=__version__,
        lifespan=lifespan,
        openapi_url=None,  # the routes of `_add_document` ask for the token
        redirect_slashes=False,  # a redirect would lead to whatever host the caller named
    )
    app.state.service = service

    @app.exception_handler(HTTPException)
    async def _counted(call: Request, problem: HTTPException) -> Response:
        if call.url.path == "/rerank":
            service.measures.answers.labels(str(problem.status_code)).inc()
        return JSONResponse({"detail": problem.detail}, problem.status_code, problem.headers)

    _add_rerank(app, service, token)
    _add_looks(app, service, token)
    _add_document(app, service, token)
    return app


def _add_rerank(app: FastAPI, service: Service, token: str | None) -> None:
    settings, measures = service.settings, service.measures
    ok, seconds = measures.answers.labels("200"), measures.seconds

    @app.post(
        "/rerank",
        response_model=Answer,
        responses={code: {"model": Problem, "description": text} for code, text in PROBLEMS.items()},
    )
    async def rerank(call: Request) -> Response:
        """Orders the candidates of one request, or of many."""
        check_token(call, token)
        body = await read_body(call, settings.max_body_bytes, settings.body_seconds)
        started = time.monotonic()
        try:
            answered = await service.reranking.answer(body, started)
        except ValueError as error:
            raise HTTPException(422, str(error)[:MESSAGE_LENGTH]) from None
        content = orjson.dumps(_as_answer(answered))
        seconds.observe(time.monotonic() - started)
        ok.inc()
        return Response(content, media_type="application/json")


def _add_looks(app: FastAPI, service: Service, token: str | None) -> None:
    """Adds what tells how the service is."""
    problems: dict[int | str, dict[str, Any]] = {401: {"model": Problem, "description": PROBLEMS[401]}}

    @app.get("/health/live", response_class=PlainTextResponse)
    async def live() -> str:
        """Says that the process answers."""
        return "live"

    @app.get(
        "/health/ready",
        response_class=PlainTextResponse,
        responses={
            503: {"description": "No model answers; the text says why", "content": {"text/plain": {}}}
        },
    )
    async def ready() -> Response:
        """Says whether a model is loaded and every thread goes on."""
        unready = service.unready()
        return PlainTextResponse(unready or "ready", 503 if unready else 200)

    @app.get("/version", response_model=Version, responses=problems)
    async def version(call: Request) -> Version:
        """Says which model answers, and what last went wrong in following the alias."""
        check_token(call, token)
        model = service.champion.model
        return Version(
            service_version=__version__,
            model_name=service.settings.model_name,
            alias=service.settings.alias,
            model_version=None if model is None else model.version,
            runner=None if model is None else model.runner,
            trouble=service.champion.trouble,
        )

    @app.get("/metrics", response_class=PlainTextResponse, responses=problems)
    async def metrics(call: Request) -> Response:
        """Returns the metrics in Prometheus' text format."""
        check_token(call, token)
        service.reranking.refresh_drift()
        return PlainTextResponse(service.measures.text())


def _add_document(app: FastAPI, service: Service, token: str | None) -> None:
    """Adds the description of the routes, for programs and for people; it names all fields of the model."""

    @app.get("/openapi.json", include_in_schema=False)
    async def document(call: Request) -> Response:
        check_token(call, token)
        return JSONResponse(_document(app, service))

    @app.get("/docs", include_in_schema=False)
    async def page(call: Request) -> Response:
        check_token(call, token)
        return HTMLResponse(document_page(_document(app, service)))


def _as_answer(answered: Answered) -> dict[str, Any]:
    return {"model_version": answered.version, "lists": [_as_list(one) for one in answered.outcomes]}


def _as_list(outcome: Outcome) -> dict[str, Any]:
    ranked = outcome.ranked
    return {
        "request_id": ranked.request_id,
        "item_ids": ranked.item_ids,
        "candidate_indices": ranked.candidate_indices,
        "probabilities": ranked.probabilities,
        "fallback": outcome.fallback,
        "error": outcome.error,
    }


def _document(app: FastAPI, service: Service) -> dict[str, Any]:
    """Returns the OpenAPI document, with the fields of the model that answers now."""
    model, settings = service.champion.model, service.settings
    document = get_openapi(title=app.title, version=app.version, routes=app.routes)
    forms = body_schema(
        model.schema if model else None,
        model.example.most_candidates if model else MOST_CANDIDATES,
        settings.max_requests,
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
