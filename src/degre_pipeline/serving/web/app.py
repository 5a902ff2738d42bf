"""The routes of the service."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse

from degre_pipeline import __version__
from degre_pipeline.serving.web.bodies import check_token, read_body
from degre_pipeline.serving.web.document import openapi_document
from degre_pipeline.serving.web.document_page import document_page
from degre_pipeline.serving.web.fair_queue import FaultyThreadError
from degre_pipeline.serving.web.loop_lag import watch_loop
from degre_pipeline.serving.web.reranking import Answered
from degre_pipeline.serving.web.running_parts import Service
from degre_pipeline.serving.web.wire_schema import MESSAGE_LENGTH, Answer, Problem, Version

PROBLEMS = {
    400: "The body is not whole",
    401: "The token is missing or wrong",
    408: "The body came too slowly",
    413: "The body is too large",
    422: "The body is not what is allowed; the answer says where",
    503: "What checks requests has ended or fails",
}


def create_app(service: Service) -> FastAPI:
    """Returns the application; the service's parts start and stop with it."""
    settings = service.settings
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
        except FaultyThreadError as error:
            raise HTTPException(503, str(error)) from None
        content = orjson.dumps(_as_answer(answered))
        seconds.observe(time.monotonic() - started)
        ok.inc()
        return Response(content, media_type="application/json")


def _add_looks(app: FastAPI, service: Service, token: str | None) -> None:
    """Adds the routes about the state of the service."""
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
        return JSONResponse(openapi_document(app, service))

    @app.get("/docs", include_in_schema=False)
    async def page(call: Request) -> Response:
        check_token(call, token)
        return HTMLResponse(document_page(openapi_document(app, service)))


def _as_answer(answered: Answered) -> dict[str, Any]:
    """Returns an `Answer` without the check of pydantic, which would take longer than the rest."""
    lists = [{**vars(one.ranked), "fallback": one.fallback, "error": one.error} for one in answered.outcomes]
    return {"model_version": answered.version, "lists": lists}
