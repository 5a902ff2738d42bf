"""How late the thread that talks to clients is."""

import asyncio
import time
from collections import deque

from degre_pipeline.serving.web.measures import Measures

PAUSE_SECONDS, REMEMBERED = 0.1, 100


async def watch_loop(measures: Measures) -> None:
    """Sleeps again and again, and notes by how much the latest of the last hundred awakenings was late."""
    lags: deque[float] = deque(maxlen=REMEMBERED)
    while True:
        wanted = time.monotonic() + PAUSE_SECONDS
        await asyncio.sleep(PAUSE_SECONDS)
        lags.append(max(0.0, time.monotonic() - wanted))
        measures.loop_lag.set(max(lags))
