"""Checks small bodies, in a thread beside the one that talks to clients, and finishes what was checked."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import uuid4

from degre_pipeline.serving.model.program import MOST_CANDIDATES
from degre_pipeline.serving.model.request_schema import Request
from degre_pipeline.serving.web.body_rules import Rules
from degre_pipeline.serving.web.loading import LoadedModel
from degre_pipeline.serving.web.measures import Measures
from degre_pipeline.serving.web.observing import only_observing
from degre_pipeline.serving.web.wire_schema import Refused

logger = logging.getLogger(__name__)

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

    def rules(self, model: LoadedModel | None) -> Rules:
        """Returns what requests for a model, or for none, are checked against."""
        return Rules(
            schema=None if model is None else model.schema,
            most_requests=self._most_requests,
            most_candidates=self._most_candidates,
            most_of_a_request=MOST_CANDIDATES if model is None else model.example.most_candidates,
            strict=self._strict,
        )

    def read(self, body: bytes, model: LoadedModel | None) -> list[Checked]:
        """Returns the requests of a body, checked.

        Raises: BadBodyError: If it is not of the form, or if its only request is not.
        """
        rules = self.rules(model)
        requests = [rules.check(request, place) for place, request in enumerate(rules.parse(body))]
        return self.finish(requests, model)

    def finish(self, requests: Sequence[Request | Refused], model: LoadedModel | None) -> list[Checked]:
        """Returns checked requests with ids and, for a model that has its own, with scores."""
        named = [_named(request) for request in requests]
        if model is None:
            return [Checked(request) for request in named]
        good = [request for request in named if isinstance(request, Request)]
        with only_observing(self._measures, "an unknown key"):
            for request in good:
                self._count_unknown(request, model)
        scored = iter(self._scored(good, model))
        return [Checked(request, next(scored) if isinstance(request, Request) else None) for request in named]

    def _scored(self, requests: Sequence[Request], model: LoadedModel) -> Sequence[Request]:
        """Returns requests with scores, or as they came where scoring fails; decoding then fails, too."""
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


def unchecked(requests: Sequence[Request | Refused]) -> list[Checked]:
    """Returns requests of which only the form was checked."""
    return [Checked(_named(request)) for request in requests]


def _named(request: Request | Refused) -> Request | Refused:
    """Returns the request with an id, made up where none came."""
    if isinstance(request, Refused) or request.request_id is not None:
        return request
    return replace(request, request_id=uuid4().hex)
