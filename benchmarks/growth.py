"""How mining's cost grows with candidates, beam, list length, width and requests."""

import resource
import statistics
import time

import torch

from benchmarks import shapes
from benchmarks.timing import Figure, Figures, Work, in_turn, ratios
from degre_pipeline.reranker.compilation import fuse_steps
from degre_pipeline.reranker.configs import MiningConfig
from degre_pipeline.reranker.models.evaluator import LookaheadEvaluator
from degre_pipeline.reranker.search import beam_search
from degre_pipeline.reranker.strategies import requests_at_once

BASE = {"n": 12, "b": 8, "l": 6, "width": 64}
GRID = {"n": (12, 30, 60), "b": (1, 2, 4, 8, 16), "l": (3, 6, 10), "width": (32, 64, 128)}
REQUESTS = (1_000, 10_000, 100_000)
PART = 1000
MIB = 1024.0


def measure(repeats: int) -> Figures:
    """Returns cost a request relative to N = 12, B = 8, L = 6, width 64, and growth with requests."""
    figures: Figures = {}
    for name, values in GRID.items():
        works = {str(value): _mining(**{**BASE, name: value}) for value in values}
        seconds = in_turn(works, repeats)
        for value in values:
            cost = ratios(seconds[str(value)], seconds[str(BASE[name])])
            figures[f"mining.cost_at_{name}_{value}"] = Figure(cost, "times")
    return {**figures, **_growth_with_requests()}


def _mining(n: int, b: int, l: int, width: int, count: int = 200) -> Work:  # noqa: E741 - the paper's letter
    evaluator, requests = shapes.evaluator(l, width), shapes.made_up_requests(count, max(n, l), l)
    fuse_steps(evaluator, "on", 0.0)
    together = requests_at_once(MiningConfig(beam_size=b), max(n, l), l, torch.device("cpu"))
    return lambda: [beam_search(evaluator, some, beam_size=b) for some in requests.batches(together)]


def _growth_with_requests() -> Figures:
    """Returns seconds a request by number of requests, their growth in the last decade, and peak memory."""
    evaluator, seconds, memory = shapes.evaluator(), [], []
    fuse_steps(evaluator, "on", 0.0)
    for count in REQUESTS:
        seconds.append(_seconds_a_request(evaluator, count))
        memory.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MIB)
    return {
        "mining.cost_growth_last_decade": Figure([seconds[-1] / seconds[-2]], "times"),
        "mining.peak_memory_growth_last_decade": Figure([memory[-1] / memory[-2]], "times"),
    }


def _seconds_a_request(evaluator: LookaheadEvaluator, count: int) -> float:
    """Returns the median over parts of a thousand requests, so that a busy moment does not count."""
    together = requests_at_once(MiningConfig(beam_size=8), 12, 6, torch.device("cpu"))
    seconds = []
    for _ in range(count // PART):
        requests = shapes.made_up_requests(PART)
        started = time.perf_counter()
        for some in requests.batches(together):
            beam_search(evaluator, some, beam_size=8)
        seconds.append((time.perf_counter() - started) / PART)
    return statistics.median(seconds)
