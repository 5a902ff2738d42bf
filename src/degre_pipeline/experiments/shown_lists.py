"""What each arm shows: places in the ranking order, and how long it took to decide on them."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import pandas as pd
import torch
from tqdm.auto import tqdm

from degre_pipeline.serving.model.request_schema import Request
from degre_pipeline.serving.model.signature import as_record
from degre_pipeline.serving.web.process import Client

WARM_UP = 20
"""How often the first request is ranked before the clock starts."""


@dataclass(frozen=True)
class Shown:
    """The list for one visit.

    Attributes:
        places: Of the shown items in the ranking order, from 0, first slot first.
        fallback: Why the ranking order is shown although a model was asked; empty where the list is the
            model's.
    """

    places: Sequence[int]
    fallback: str = ""


def timed(
    visits: pd.DataFrame, requests: Iterable[Request], rank: Callable[[Request], Shown], *, label: str
) -> pd.DataFrame:
    """Returns request_id, places, fallback and latency_ms of every visit, asked for one after another.

    Args:
        visits: With request_id.
        requests: Of the visits, in their order.
        rank: Decides what is shown; the clock runs while it does.
        label: Name on the progress bar.
    """
    rows: list[tuple[list[int], str, float]] = []
    for request in tqdm(requests, total=len(visits), desc=label, unit="visit", mininterval=1.0):
        if not rows:
            for _ in range(WARM_UP):
                rank(request)
        started = time.perf_counter()
        shown = rank(request)
        rows.append((list(shown.places), shown.fallback, 1000 * (time.perf_counter() - started)))
    decided = pd.DataFrame(rows, columns=["places", "fallback", "latency_ms"])
    return pd.concat([visits[["request_id"]].reset_index(drop=True), decided], axis=1)


def ask(client: Client, request: Request) -> Shown:
    """Returns what the service decides, over HTTP."""
    only = client.rerank(as_record(request))["lists"][0]
    return Shown(only["candidate_indices"], only["fallback"] or "")


class OneThread:
    """Lets torch use one thread inside a `with`, as a service does, and as many as before after it."""

    def __enter__(self) -> None:
        """Limits torch to one thread."""
        self._before = torch.get_num_threads()
        torch.set_num_threads(1)

    def __exit__(self, *error: object) -> None:
        """Restores the number of threads."""
        torch.set_num_threads(self._before)
