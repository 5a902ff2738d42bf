"""Parts of the service by themselves."""

import asyncio
import math
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
from small_models import REQUESTS, SPACE

from degre_pipeline.service.batching import Batcher
from degre_pipeline.service.drift import ScoreDrift, stability_index
from degre_pipeline.service.measures import Measures
from degre_pipeline.service.reranking import incoming_order
from degre_pipeline.serving.request_schema import Request


def test_stability_index_by_hand():
    # Counts 1 and 3 become shares 1.5/5 and 3.5/5 with half a count added, against one half each.
    expected = (0.3 - 0.5) * math.log(0.3 / 0.5) + (0.7 - 0.5) * math.log(0.7 / 0.5)
    assert stability_index(np.array([1.0, 3.0])) == pytest.approx(expected)
    assert stability_index(np.array([4.0, 4.0])) == pytest.approx(0.0)


def test_scores_spread_as_in_training_are_no_drift_and_others_are():
    generator = np.random.default_rng(0)

    def index_of(scores) -> float:
        drift = ScoreDrift(SPACE)
        drift.add([Request([{"item_id": 1, "ranking_score": score} for score in scores], {}, {})])
        return drift.indices()["ranking_score"]

    assert index_of(generator.choice([-2.0, -0.5, 0.5, 2.0], 4000)) < 0.01
    assert index_of(generator.choice([0.5, 2.0], 4000)) > 0.25


def test_incoming_order_is_cut_to_the_list():
    assert incoming_order(REQUESTS[0], 3).item_ids == (11, 12, 13)
    assert incoming_order(REQUESTS[1], 3).candidate_indices == (0, 1)
    assert incoming_order(REQUESTS[0], None).item_ids == (11, 12, 13, 14)


class Echo:
    """Ranks a request as its id; one with id `bad` fails whatever stands beside it."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.may_go_on = threading.Event()

    def rank_checked(self, requests):
        self.may_go_on.wait(5)
        self.sizes.append(len(requests))
        if any(request.request_id == "bad" for request in requests):
            raise RuntimeError("bad")
        return [request.request_id for request in requests]


def ask(ids, seconds=5.0, wait=0.0):
    """Returns what each of several calls gets, and the sizes of the batches."""
    echo, batcher = Echo(), Batcher(Measures(), lambda *observed: None)
    model = SimpleNamespace(reranker=echo)

    async def all_at_once():
        def call(one):
            return batcher.rank(model, [Request([], {}, {}, one)], time.monotonic() + seconds)

        first = asyncio.ensure_future(call(ids[0]))
        await asyncio.sleep(0.01)  # it is being decoded when the others come
        gathered = asyncio.gather(first, *map(call, ids[1:]), return_exceptions=True)
        await asyncio.sleep(0.05 + wait)
        echo.may_go_on.set()
        return await gathered

    batcher.start()
    try:
        return asyncio.run(all_at_once()), echo.sizes
    finally:
        batcher.stop()


def test_what_waits_is_decoded_together():
    answers, sizes = ask([1, 2, 3, 4])
    assert answers == [[1], [2], [3], [4]]
    assert sizes == [1, 3]


def test_a_request_that_fails_takes_no_other_with_it():
    answers, _ = ask([1, 2, "bad", 4])
    assert answers[:2] + answers[3:] == [[1], [2], [4]]
    assert isinstance(answers[2], RuntimeError)


def test_what_nobody_waits_for_any_more_is_not_decoded():
    answers, sizes = ask([1, 2, 3], seconds=0.02, wait=0.1)
    assert all(isinstance(answer, TimeoutError) for answer in answers)
    assert sizes == [1]
