"""Reads and checks large bodies, in a process of low priority beside the service, which starts it.

Python parses a body in one go, in which no other thread of a process has its turn.
"""

import gc
import os
import signal
import sys
import time
from collections.abc import Iterator
from typing import Any

from degre_pipeline.serving.web.body_rules import Rules, pieces
from degre_pipeline.serving.web.messages import as_plain, receive, send
from degre_pipeline.serving.web.threads import LOW_PRIORITY
from degre_pipeline.serving.web.wire_schema import BadBodyError


def answers(body: bytes, expires: float, rules: Rules) -> Iterator[tuple[Any, ...]]:
    """Yields the pieces of a body: its requests, and whether they were checked, which needs time left.

    Args:
        body: As it came.
        expires: When nobody waits for checks any more, in monotonic seconds.
        rules: What is allowed.
    Yields: ("piece", requests, checked) for each, then ("end",); ("refused", why) if it has not the form.
    """
    try:
        requests = rules.parse(body)
    except BadBodyError as error:
        yield "refused", str(error)
        return
    for places in pieces(requests):
        in_time = time.monotonic() < expires
        found = [rules.check(requests[place], place) if in_time else requests[place] for place in places]
        yield "piece", [as_plain(request) for request in found], in_time
    yield ("end",)


def main() -> None:
    """Answer until the service has ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to both; the service ends this process
    os.nice(LOW_PRIORITY)
    gc.disable()  # a body has no cycles, and to look for some takes longer than to read it
    while True:
        try:
            body, expires, rules = receive(sys.stdin.buffer)
        except EOFError:
            return
        for answer in answers(body, expires, Rules.of_plain(rules)):
            send(sys.stdout.buffer, answer)
        gc.collect()


if __name__ == "__main__":
    main()
