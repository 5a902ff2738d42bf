"""Mining against re-encoding every prefix, and against the matrix products it consists of."""

import os
import tempfile
import time
from unittest.mock import patch

import torch
from torch import Tensor

from benchmarks import shapes
from benchmarks.timing import Figure, Figures, Work, alone, in_turn, ratios
from degre_pipeline.reranker.models.ensemble import EvaluatorEnsemble
from degre_pipeline.reranker.models.evaluator import LookaheadEvaluator, slot_value
from degre_pipeline.reranker.requests import Requests, gather_candidates
from degre_pipeline.reranker.search.beam import beam_search
from degre_pipeline.reranker.search.exact import ROWS
from degre_pipeline.reranker.search.mining_config import MiningConfig
from degre_pipeline.reranker.search.strategies import beam_expansions, requests_at_once
from degre_pipeline.reranker.training.compilation import fuse_steps, step_work

BEAM = 8
OPTIONS = [shapes.CANDIDATES - slot for slot in range(shapes.SLOTS)]
# A beam of 8 scores as many prefixes at a slot; encoded anew, each of them has all items up to the slot.
ITEMS_ENCODED_ANEW = sum(
    (slot + 1) * (options if slot == 0 else BEAM * options) for slot, options in enumerate(OPTIONS)
)
LARGE, ROUNDS, MEMBERS = 2048, 10, 4


def measure(repeats: int) -> Figures:
    """Returns the figures of mining with B = 8 on the CPU."""
    plain, fused, compiled = shapes.evaluator(), shapes.evaluator(), shapes.evaluator()
    ensemble = EvaluatorEnsemble([shapes.evaluator() for _ in range(MEMBERS)]).eval()
    company = shapes.evaluator(head="company")
    fuse_steps(fused, "on", 0.0)
    fuse_steps(ensemble, "on", 0.0)
    compiled.compile(dynamic=True)
    cpu = torch.device("cpu")
    b = requests_at_once(MiningConfig(beam_size=BEAM), shapes.CANDIDATES, shapes.SLOTS, cpu)
    requests, few = shapes.made_up_requests(4 * b), shapes.made_up_requests(32)
    large = torch.randn(LARGE, LARGE)
    products = same_products(plain, ROWS)
    works: dict[str, Work] = {
        "fused": lambda: [beam_search(fused, some, beam_size=BEAM) for some in requests.batches(b)],
        "ensemble": lambda: [beam_search(ensemble, some, beam_size=BEAM) for some in requests.batches(b)],
        "company": lambda: [beam_search(company, some, beam_size=BEAM) for some in requests.batches(b)],
        "plain": lambda: [beam_search(plain, some, beam_size=BEAM) for some in requests.batches(b)],
        "reencoding": lambda: beam_search_by_calls(plain, few),
        "reencoding_compiled": lambda: beam_search_by_calls(compiled, few),
        "products": lambda: [products() for _ in range(ROUNDS)],
        "large": lambda: [large @ large for _ in range(ROUNDS)],
    }
    seconds = in_turn(works, repeats)
    a_request = {
        name: [second / count for second in seconds[name]]
        for name, count in (
            ("fused", len(requests)),
            ("plain", len(requests)),
            ("reencoding", len(few)),
            ("reencoding_compiled", len(few)),
        )
    }
    work = step_work(plain) * beam_expansions(OPTIONS, BEAM)
    at_products = [second * work / (step_work(plain) * ROWS * ROUNDS) for second in seconds["products"]]
    at_large = [second * work / (2 * LARGE**3 * ROUNDS) for second in seconds["large"]]
    anew = ITEMS_ENCODED_ANEW / beam_expansions(OPTIONS, BEAM)
    fused_seconds = a_request["fused"]
    return {
        "mining.cached_over_reencoding": Figure(ratios(a_request["reencoding"], fused_seconds), "times"),
        "mining.cached_over_reencoding_compiled": Figure(
            ratios(a_request["reencoding_compiled"], fused_seconds), "times"
        ),
        "mining.items_reencoded_over_cached": Figure([anew], "times"),
        "mining.reencoding_fraction_of_matmul": Figure(
            ratios(at_products, a_request["reencoding"], anew), "share"
        ),
        "mining.fused_over_plain": Figure(ratios(a_request["plain"], fused_seconds), "times"),
        "mining.fraction_of_matmul": Figure(ratios(at_products, fused_seconds), "share"),
        "mining.plain_fraction_of_matmul": Figure(ratios(at_products, a_request["plain"]), "share"),
        "mining.fraction_of_large_matmul": Figure(ratios(at_large, fused_seconds), "share"),
        "mining.ensemble_of_4_over_one": Figure(ratios(seconds["ensemble"], seconds["fused"]), "times"),
        "mining.transformer_over_company": Figure(ratios(seconds["fused"], seconds["company"]), "times"),
        "mining.requests_per_second": Figure([1 / second for second in fused_seconds], "requests/s"),
        "mining.gflops": Figure([work / second / 1e9 for second in fused_seconds], "GFLOP/s"),
        **_time_to_first_batch(),
    }


def _time_to_first_batch() -> Figures:
    """Returns the seconds until the first batch is mined, without and with what an earlier run compiled."""
    with (
        tempfile.TemporaryDirectory() as cache,
        patch.dict(os.environ, TORCHINDUCTOR_CACHE_DIR=cache),
    ):
        cold, warm = alone(seconds_to_first_batch), alone(seconds_to_first_batch)
    return {
        "mining.first_batch_seconds": Figure([cold], "s"),
        "mining.first_batch_seconds_compiled_before": Figure([warm], "s"),
    }


def seconds_to_first_batch() -> float:
    """Returns the seconds that a new process takes to compile the step and mine one batch."""
    evaluator = shapes.evaluator()
    b = requests_at_once(MiningConfig(beam_size=BEAM), shapes.CANDIDATES, shapes.SLOTS, torch.device("cpu"))
    requests = shapes.made_up_requests(b)
    started = time.perf_counter()
    fuse_steps(evaluator, "on", 0.0)
    beam_search(evaluator, requests, beam_size=BEAM)
    return time.perf_counter() - started


def same_products(evaluator: LookaheadEvaluator, rows: int) -> Work:
    """Returns work that does only the matrix products of one search step of so many items."""
    matrices = [
        p.detach() for p in (*evaluator.layers.parameters(), *evaluator.head.parameters()) if p.ndim > 1
    ]
    pairs = [
        (torch.randn(rows, matrix.shape[1]), matrix.t().contiguous(), torch.empty(rows, matrix.shape[0]))
        for matrix in matrices
    ]
    return lambda: [torch.mm(x, matrix, out=out) for x, matrix, out in pairs]


@torch.no_grad()
def beam_search_by_calls(evaluator: LookaheadEvaluator, requests: Requests) -> Tensor:
    """The same search by calling the evaluator on every extended prefix whole; returns the values [b, k]."""
    b, n = requests.mask.shape
    sequences = torch.empty(b, 1, 0, dtype=torch.long)
    rows = torch.arange(b)[:, None]
    values = torch.zeros(b, 1)
    for slot in range(evaluator.list_length):
        k, m = sequences.shape[1], n - slot
        used = (sequences[..., None] == torch.arange(n)).any(-2)
        options = used.to(torch.uint8).argsort(dim=-1, stable=True)[..., :m]
        grown = torch.cat([sequences[:, :, None].expand(b, k, m, slot), options[..., None]], -1).flatten(1, 2)
        items = gather_candidates(requests.candidates, grown).flatten(0, 1)
        static = requests.static.repeat_interleave(k * m, 0)
        scored = slot_value(evaluator(static, items)[:, -1], slot).view(b, k * m)
        best = scored.sort(dim=-1, descending=True, stable=True)
        values, kept = best.values[:, :BEAM], best.indices[:, :BEAM]
        sequences = grown[rows, kept]
    return values
