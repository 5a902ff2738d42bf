"""Processes that move aliases, with a clock of their own, and may be killed while they do."""

import random
import time
from collections.abc import Callable
from multiprocessing import get_context
from typing import Any

START = get_context("forkserver")
START.set_forkserver_preload(["mlflow", "degre_pipeline.release.promotion"])
MODEL = "reranker"
VERSIONS = (1, 2, 3, 4)
A_WEEK = 7 * 86_400.0


def move(uri: str, seed: float, begins: Any) -> None:
    """Promotes a version, or goes back, when all others are ready to move, too."""
    import mlflow

    from degre_pipeline.release.aliases import CHAMPION, positions
    from degre_pipeline.release.promotion import promote, roll_back

    draw = random.Random(seed)
    _shift_clock(draw.uniform(-A_WEEK, A_WEEK))
    client = mlflow.MlflowClient(uri)
    positions(client, MODEL)  # opens the database
    begins.wait()
    if draw.random() < 0.25:
        roll_back(client, MODEL, who="ann", why="torture")
        return
    others = [version for version in VERSIONS if version != positions(client, MODEL)[CHAMPION]]
    promote(client, MODEL, draw.choice(others), who="ann", why="torture", force=True)


def ready(uri: str, draw: random.Random, number: int) -> list[Any]:
    """Starts so many processes and returns them in the moment in which they begin."""
    begins = START.Barrier(number + 1)
    started = [START.Process(target=move, args=(uri, draw.random(), begins)) for _ in range(number)]
    for one in started:
        one.start()
    begins.wait(120)
    return started


def _shift_clock(seconds: float) -> None:
    right: Callable[[], float] = time.time
    right_ns: Callable[[], int] = time.time_ns
    time.time = lambda: right() + seconds
    time.time_ns = lambda: right_ns() + int(seconds * 1e9)
