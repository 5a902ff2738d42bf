"""Reads the body of a call within a limit of size and time, and checks who calls."""

import asyncio
import hmac

from fastapi import HTTPException, Request
from starlette.requests import ClientDisconnect


async def read_body(call: Request, most_bytes: int, seconds: float) -> bytes:
    """Returns the body.

    Raises: HTTPException: 413 for a larger one, 408 for a slower one, 400 if the client went away.
    """
    announced = call.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > most_bytes:
        raise _too_large(most_bytes)
    parts, size = [], 0
    try:
        async with asyncio.timeout(seconds):
            async for part in call.stream():
                size += len(part)
                if size > most_bytes:
                    raise _too_large(most_bytes)
                parts.append(part)
    except TimeoutError:
        raise HTTPException(408, f"the body was not there after {seconds:g} seconds", _CLOSE) from None
    except ClientDisconnect:
        raise HTTPException(400, "the client went away before the body ended") from None
    return b"".join(parts)


def check_token(call: Request, token: str | None) -> None:
    """Raises HTTPException, 401, if there is a token and the caller did not send it."""
    if token is None:
        return
    scheme, _, sent = call.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(sent.encode(), token.encode()):
        raise HTTPException(401, "a bearer token is needed", {"WWW-Authenticate": "Bearer"})


_CLOSE = {"Connection": "close"}


def _too_large(most_bytes: int) -> HTTPException:
    return HTTPException(413, f"the body is too large; allowed: {most_bytes} bytes", _CLOSE)
