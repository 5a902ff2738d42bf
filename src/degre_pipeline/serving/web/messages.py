"""Messages between the service and the process that reads large bodies: plain values, of a known length.

`marshal` keeps whole numbers of any size and numbers that are infinite, and loading it executes nothing.
"""

import marshal
import struct
from dataclasses import astuple
from typing import IO, Any

from degre_pipeline.serving.model.request_schema import Request
from degre_pipeline.serving.web.wire_schema import Refused

_LENGTH = struct.Struct(">Q")


def send(stream: IO[bytes], message: tuple[Any, ...]) -> None:
    """Writes a message."""
    content = marshal.dumps(message)
    stream.write(_LENGTH.pack(len(content)) + content)
    stream.flush()


def receive(stream: IO[bytes]) -> tuple[Any, ...]:
    """Returns the next message. Raises: EOFError: If the other side has ended."""
    found: tuple[Any, ...] = marshal.loads(_exactly(stream, *_LENGTH.unpack(_exactly(stream, _LENGTH.size))))
    return found


def _exactly(stream: IO[bytes], size: int) -> bytes:
    content = stream.read(size)
    if len(content) < size:
        raise EOFError("the other process has ended")
    return content


def as_plain(request: Request | Refused) -> tuple[Any, ...]:
    """Returns a request, or why it was refused, as plain values."""
    if isinstance(request, Refused):
        return astuple(request)
    return request.candidates, request.user, request.context, request.request_id


def of_plain(plain: tuple[Any, ...]) -> Request | Refused:
    """Returns what `as_plain` turned into plain values."""
    return Refused(*plain) if len(plain) == len(Refused.__dataclass_fields__) else Request(*plain)
