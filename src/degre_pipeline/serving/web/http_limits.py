"""Limits of size and time for what comes before a body, and of the number of connections.

uvicorn keeps a header that never ends in memory and waits for one that never comes. Its two protocols have
the same methods, so one class in front of either of them counts.
"""

import asyncio
import resource
from dataclasses import dataclass
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from degre_pipeline.serving.web.measures import Measures
from degre_pipeline.serving.web.service_settings import Parser

PIECE_BYTES = 8192
"""A header is handed on in pieces, so that no more than one is read beyond the limit."""
FILES_FOR_OTHERS = 64
"""Open files that are left to everything but connections."""
_PROBLEMS = {
    408: (b"Request Timeout", b"the request's header came too slowly"),
    431: (b"Request Header Fields Too Large", b"the request's header is too large"),
    503: (b"Service Unavailable", b"there are too many connections"),
}


@dataclass(frozen=True)
class HttpLimits:
    """What a connection may take.

    Attributes:
        header_bytes: Of request line and headers together.
        header_seconds: From the first byte of a request, or the connection, to the end of its headers.
        connections: At one time.
    """

    header_bytes: int
    header_seconds: float
    connections: int

    def of_system(self) -> "HttpLimits":
        """Returns the limits with no more connections than this process may open files for."""
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if files == resource.RLIM_INFINITY:
            return self
        most = min(self.connections, max(1, files - FILES_FOR_OTHERS))
        return HttpLimits(self.header_bytes, self.header_seconds, most)


class LimitedConnection:
    """Counts and times the headers of a connection, in front of one of uvicorn's protocols."""

    limits: HttpLimits
    measures: Measures
    transport: Any
    connections: Any
    loop: asyncio.AbstractEventLoop
    cycle: Any
    _timer: asyncio.TimerHandle | None = None
    _header_bytes = 0
    _has_ended = False

    def connection_made(self, transport: Any) -> None:
        """Takes a connection, or refuses it where there are too many."""
        super().connection_made(transport)  # type: ignore[misc]
        if len(self.connections) > self.limits.connections:
            self._refuse(503)
        else:
            self._await_header()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forgets the connection."""
        self._stop_timer()
        super().connection_lost(exc)  # type: ignore[misc]

    def data_received(self, data: bytes) -> None:
        """Hands bytes on, those of a header piece by piece, as long as the header is allowed."""
        while data and not self.transport.is_closing():
            size = PIECE_BYTES if self.is_in_header() else len(data)
            piece, data = data[:size], data[size:]
            if self.is_in_header():
                self._count(len(piece))
            super().data_received(piece)  # type: ignore[misc]
            if not self.is_in_header():
                self.header_has_ended()
            elif self._header_bytes > self.limits.header_bytes and not self.transport.is_closing():
                self._refuse(431)

    def eof_received(self) -> bool:
        """Keeps a connection whose client has sent a request and then stopped, until it has its answer."""
        self._has_ended = True
        cycle = self.cycle
        return cycle is not None and not cycle.more_body and not cycle.response_complete

    def on_response_complete(self) -> None:
        """Ends a connection after its last answer where the client has stopped sending."""
        super().on_response_complete()  # type: ignore[misc]
        if self._has_ended and not self.transport.is_closing():
            self.transport.close()

    def is_in_header(self) -> bool:
        """Returns whether the next byte belongs to a request's line or headers."""
        raise NotImplementedError

    def header_has_ended(self) -> None:
        """Starts to count anew."""
        self._stop_timer()
        self._header_bytes = 0

    def _count(self, size: int) -> None:
        if self._timer is None:
            self._await_header()
        self._header_bytes += size

    def _await_header(self) -> None:
        self._timer = self.loop.call_later(self.limits.header_seconds, self._is_late)

    def _is_late(self) -> None:
        if self.is_in_header() and not self.transport.is_closing():
            self._refuse(408)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None

    def _refuse(self, status: int) -> None:
        self._stop_timer()
        self.measures.refused_connections.labels(str(status)).inc()
        phrase, text = _PROBLEMS[status]
        head = (
            b"HTTP/1.1 %d %s\r\nconnection: close\r\ncontent-type: text/plain\r\ncontent-length: %d\r\n\r\n"
        )
        self.transport.write(head % (status, phrase, len(text)) + text)
        self.transport.close()


class LimitedH11(LimitedConnection, H11Protocol):  # type: ignore[misc]
    """Parses in Python."""

    def is_in_header(self) -> bool:
        """Returns whether h11 waits for the rest of a request's headers."""
        return str(self.conn.their_state) == "IDLE"


def limited_protocol(parser: Parser, limits: HttpLimits, measures: Measures) -> type[asyncio.Protocol]:
    """Returns uvicorn's protocol of a parser with limits; `auto` takes httptools where it is installed.

    Raises: ImportError: If httptools is asked for and not installed.
    """
    base = LimitedH11 if parser == "h11" else _httptools_or_h11(parser)
    limited: type[asyncio.Protocol] = type(base.__name__, (base,), {"limits": limits, "measures": measures})
    return limited


def _httptools_or_h11(parser: Parser) -> type[LimitedConnection]:
    try:
        return _limited_httptools()
    except ImportError:
        if parser == "httptools":
            raise
        return LimitedH11


def _limited_httptools() -> type[LimitedConnection]:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

    class LimitedHttpTools(LimitedConnection, HttpToolsProtocol):  # type: ignore[misc]
        """Parses in C."""

        _in_header = True

        def is_in_header(self) -> bool:
            """Returns whether neither a header has ended nor the message behind it begun."""
            return self._in_header

        def on_headers_complete(self) -> None:
            """Notes that a header has ended."""
            self._in_header = False
            self.header_has_ended()
            super().on_headers_complete()

        def on_message_complete(self) -> None:
            """Notes that what comes next is another header."""
            self._in_header = True
            super().on_message_complete()

    return LimitedHttpTools
