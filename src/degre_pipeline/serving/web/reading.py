"""Hands large bodies to a process beside the service, which reads and checks them."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from degre_pipeline.serving.model.prepare import child_environment
from degre_pipeline.serving.model.request_schema import Request
from degre_pipeline.serving.web import reading_process
from degre_pipeline.serving.web.body_rules import Rules
from degre_pipeline.serving.web.fair_queue import FairThread, FaultyThreadError
from degre_pipeline.serving.web.measures import Measures
from degre_pipeline.serving.web.messages import of_plain, receive, send
from degre_pipeline.serving.web.threads import Repeating
from degre_pipeline.serving.web.wire_schema import BadBodyError, Refused

LONGEST_SECONDS = 10.0
"""A process that takes longer for a body is ended."""


@dataclass(frozen=True)
class Piece:
    """Neighbouring requests of a body, and whether there was time to check them."""

    requests: Sequence[Request | Refused]
    is_checked: bool


class Reader:
    """The process, started anew where it has ended, and the thread that talks to it.

    Args:
        measures: Where its ends are counted.
    """

    def __init__(self, measures: Measures) -> None:
        self._measures, self._thread = measures, FairThread("read", measures)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts both."""
        self._process = _started()
        self._thread.start()

    def stop(self) -> None:
        """Ends both."""
        self._thread.stop()
        self._end()

    @property
    def threads(self) -> Sequence[Repeating]:
        """The thread that must go on."""
        return self._thread.threads

    async def read(
        self, call: object, body: bytes, rules: Rules, expires: float, arrived: "asyncio.Queue[Piece | None]"
    ) -> None:
        """Puts the pieces of a body into a queue as they come, and None when none will follow.

        Raises: BadBodyError: If the body is not of the form. FaultyThreadError: If the process has ended.
        """
        loop = asyncio.get_running_loop()

        def give(piece: Piece) -> None:
            loop.call_soon_threadsafe(arrived.put_nowait, piece)

        try:
            await self._thread.run(call, partial(self._read, (body, expires, rules.as_plain()), give))
        finally:
            arrived.put_nowait(None)

    def _read(self, message: tuple[object, ...], give: Callable[[Piece], None]) -> None:
        process = self._running()
        guard = threading.Timer(LONGEST_SECONDS, process.kill)
        guard.start()
        try:
            self._exchange(process, message, give)
        except (OSError, EOFError) as error:
            self._measures.failed_steps.labels("reading-process").inc()
            self._end()
            raise FaultyThreadError("the process that reads large bodies has ended") from error
        finally:
            guard.cancel()

    def _exchange(
        self, process: "subprocess.Popen[bytes]", message: tuple[object, ...], give: Callable[[Piece], None]
    ) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        send(process.stdin, message)
        kind, *content = receive(process.stdout)
        while kind == "piece":
            requests, is_checked = content
            give(Piece([of_plain(request) for request in requests], is_checked))
            kind, *content = receive(process.stdout)
        if kind == "refused":
            raise BadBodyError(content[0])

    def _running(self) -> "subprocess.Popen[bytes]":
        if self._process is not None and self._process.poll() is not None:
            self._end()
        self._process = self._process or _started()
        return self._process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()


def _started() -> "subprocess.Popen[bytes]":
    """Starts the process. It ends by itself when the service has ended, for then nothing can follow."""
    return subprocess.Popen(
        [sys.executable, "-m", reading_process.__name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=child_environment(),
    )
