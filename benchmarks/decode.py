"""The generator's greedy decode of one request on one thread, against its encoder and the beam search."""

import torch

from benchmarks import shapes
from benchmarks.timing import Figure, Figures, Work, in_turn, ratios
from degre_pipeline.reranker.search import beam_search

CALLS, BEAM = 50, 8


@torch.no_grad()
def measure(repeats: int) -> Figures:
    """Returns the figures of one request, eager and compiled; each sample is the mean of many calls."""
    generator, evaluator, one = shapes.generator(), shapes.evaluator(), shapes.made_up_requests(1)
    inputs = one.static, one.candidates, one.mask
    compiled = torch.compile(generator.greedy_decode), torch.compile(generator.encode)
    works: dict[str, Work] = {
        "decode": lambda: [generator.greedy_decode(*inputs) for _ in range(CALLS)],
        "encode": lambda: [generator.encode(*inputs) for _ in range(CALLS)],
        "compiled_decode": lambda: [compiled[0](*inputs) for _ in range(CALLS)],
        "compiled_encode": lambda: [compiled[1](*inputs) for _ in range(CALLS)],
        "beam": lambda: beam_search(evaluator, one, beam_size=BEAM),
    }
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        seconds = in_turn(works, repeats)
    finally:
        torch.set_num_threads(threads)
    milliseconds = {
        name: [1000 * second / CALLS for second in seconds[name]] for name in works if name != "beam"
    }
    return {
        "decode.eager_ms": Figure(milliseconds["decode"], "ms"),
        "decode.compiled_ms": Figure(milliseconds["compiled_decode"], "ms"),
        "decode.over_encoder_forward": Figure(
            ratios(seconds["compiled_decode"], seconds["compiled_encode"]), "times"
        ),
        "decode.eager_over_encoder_forward": Figure(ratios(seconds["decode"], seconds["encode"]), "times"),
        "decode.beam_over_decode": Figure(ratios(seconds["beam"], seconds["decode"], CALLS), "times"),
    }
