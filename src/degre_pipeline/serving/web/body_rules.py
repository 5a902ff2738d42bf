"""What requests are checked against, in the service and in the process beside it that reads large bodies.

Needs neither torch nor a model, so that the process is small and starts at once.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from degre_pipeline.reranker.schema import Field
from degre_pipeline.serving.model.request_schema import PARTS, Request, RequestSchema, check_items, described
from degre_pipeline.serving.web.wire_schema import Refused, parse_body

CANDIDATES_A_PIECE = 256
"""About so many candidates make a piece of a large body."""


@dataclass(frozen=True)
class Rules:
    """What is allowed.

    Attributes:
        schema: Of the model that will answer; None where there is none.
        most_requests: Of one body.
        most_candidates: Of one body, all requests together.
        most_of_a_request: Candidates of one request.
        strict: Refuses unknown keys.
    """

    schema: RequestSchema | None
    most_requests: int
    most_candidates: int
    most_of_a_request: int
    strict: bool

    def parse(self, body: bytes) -> list[Request | Refused]:
        """Returns the requests of a body. Raises: BadBodyError: If it is not of the form."""
        return parse_body(body, self.most_requests, self.most_candidates)

    def check(self, request: Request | Refused, position: int) -> Request | Refused:
        """Returns a request, or why it is refused."""
        if isinstance(request, Refused):
            return request
        where, count = described(request, position), len(request.candidates)
        if count > self.most_of_a_request:
            error = f"{where}: there are {count} candidates; allowed: 1 to {self.most_of_a_request}"
            return Refused(request.request_id, error)
        try:
            if self.schema is None:
                check_items(where, request.candidates)
            else:
                self.schema.check(request, position, strict=self.strict)
        except ValueError as fault:
            return Refused(request.request_id, str(fault))
        return request

    def as_plain(self) -> dict[str, Any]:
        """Returns the rules as plain values."""
        schema: dict[str, Any] | None = None
        if self.schema is not None:
            schema = {part: [asdict(field) for field in getattr(self.schema, part)] for part in PARTS}
            schema["scores_itself"] = self.schema.scores_itself
        return {**vars(self), "schema": schema}

    @classmethod
    def of_plain(cls, plain: dict[str, Any]) -> "Rules":
        """Returns the rules of which `as_plain` made plain values."""
        schema = plain["schema"]
        if schema is not None:
            parts = {part: tuple(Field(**field) for field in schema[part]) for part in PARTS}
            schema = RequestSchema(**parts, scores_itself=schema["scores_itself"])
        return cls(**{**plain, "schema": schema})


def pieces(requests: Sequence[Request | Refused]) -> list[range]:
    """Cuts requests into pieces of about equal work. Returns: The places of each."""
    cut: list[range] = []
    start, candidates = 0, 0
    for place, request in enumerate(requests):
        size = len(request.candidates) if isinstance(request, Request) else 1
        if place > start and candidates + size > CANDIDATES_A_PIECE:
            cut.append(range(start, place))
            start, candidates = place, 0
        candidates += size
    return [*cut, range(start, len(requests))]
