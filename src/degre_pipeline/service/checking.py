"""Reads and checks bodies, piece by piece, in a thread beside the one that talks to clients."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import uuid4

from degre_pipeline.service.loading import LoadedModel
from degre_pipeline.service.measures import Measures
from degre_pipeline.service.observing import only_observing
from degre_pipeline.service.schema import Refused, check_sizes, parse_body
from degre_pipeline.serving.program import MOST_CANDIDATES
from degre_pipeline.serving.request_schema import Request

logger = logging.getLogger(__name__)

CANDIDATES_A_PIECE = 256
"""About so many candidates are checked before another call has its turn."""
MOST_NAMES = 50
"""Unknown keys of which the log tells by name."""


@dataclass(frozen=True)
class Checked:
    """A request with its id, or why it was refused.

    Attributes:
        request: As it came.
        scored: With a ranking score where none came and the model has its own; None if it was not checked.
    """

    request: Request | Refused
    scored: Request | None = None


@dataclass(frozen=True)
class Chunk:
    """Neighbouring requests of a body, of which the first stands at a place."""

    requests: Sequence[Request | Refused]
    first: int

    def unchecked(self) -> list[Checked]:
        """Returns the requests as those of which only the form is known."""
        return [Checked(_named(request)) for request in self.requests]


@dataclass(frozen=True)
class Begun:
    """The first requests of a body, checked, and those that wait."""

    checked: Sequence[Checked]
    waiting: Sequence[Chunk]


class Checker:
    """Checks requests for a model.

    Args:
        measures: Where unknown keys are counted.
        most_requests: Of one body.
        most_candidates: Of one body, all requests together.
        strict: Refuses unknown keys.
    """

    def __init__(self, measures: Measures, *, most_requests: int, most_candidates: int, strict: bool) -> None:
        self._measures, self._strict = measures, strict
        self._most_requests, self._most_candidates = most_requests, most_candidates
        self._told: set[tuple[str, str]] = set()

    def begin(self, body: bytes, model: LoadedModel | None) -> Begun:
        """Reads a body and checks its first requests.

        Raises: BadBodyError: If it is not of the form, or if its only request is not.
        """
        requests = parse_body(body, self._most_requests, self._most_candidates)
        first, *waiting = _chunks(requests)
        return Begun(self.check(first, model), waiting)

    def check(self, chunk: Chunk, model: LoadedModel | None) -> list[Checked]:
        """Returns the requests, each checked for the model, or only for its size where there is none."""
        checked = [
            self._check(request, chunk.first + place, model) for place, request in enumerate(chunk.requests)
        ]
        if model is None:
            return checked
        good = [one.request for one in checked if isinstance(one.request, Request)]
        scored = iter(self._scored(good, model))
        return [
            replace(one, scored=next(scored)) if isinstance(one.request, Request) else one for one in checked
        ]

    def _check(self, request: Request | Refused, position: int, model: LoadedModel | None) -> Checked:
        if isinstance(request, Refused):
            return Checked(request)
        most = model.example.most_candidates if model else MOST_CANDIDATES
        try:
            check_sizes(request, position, most)
            if model is not None:
                model.schema.check(request, position, strict=self._strict)
        except ValueError as error:
            return Checked(Refused(request.request_id, str(error)))
        if model is not None:
            with only_observing(self._measures, "an unknown key"):
                self._count_unknown(request, model)
        return Checked(_named(request))

    def _scored(self, requests: Sequence[Request], model: LoadedModel) -> Sequence[Request]:
        """Returns requests with a score; as they came if that fails, as decoding then will, too."""
        try:
            return model.reranker.scored(requests)
        except Exception:
            logger.exception("the ranking model of version %s failed", model.version)
            return requests

    def _count_unknown(self, request: Request, model: LoadedModel) -> None:
        for part, names in model.schema.unknown_keys(request).items():
            if names:
                self._measures.unknown_keys.labels(part).inc(len(names))
            for name in set(names):
                if len(self._told) < MOST_NAMES and (part, name) not in self._told:
                    self._told.add((part, name))
                    logger.info(
                        "%s key %.100r is no field of version %s; it is ignored", part, name, model.version
                    )


def _named(request: Request | Refused) -> Request | Refused:
    """Returns the request with an id, made up where none came."""
    if isinstance(request, Refused) or request.request_id is not None:
        return request
    return replace(request, request_id=uuid4().hex)


def _chunks(requests: Sequence[Request | Refused]) -> list[Chunk]:
    """Cuts requests into pieces of about equal work, in their order."""
    chunks: list[Chunk] = []
    start, candidates = 0, 0
    for place, request in enumerate(requests):
        size = len(request.candidates) if isinstance(request, Request) else 1
        if place > start and candidates + size > CANDIDATES_A_PIECE:
            chunks.append(Chunk(requests[start:place], start))
            start, candidates = place, 0
        candidates += size
    return [*chunks, Chunk(requests[start:], start)]
