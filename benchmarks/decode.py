"""The generator's greedy decode of one request on one thread, against its encoder and the beam search."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks import shapes
from benchmarks.timing import Figure, Figures, Work, in_turn, ratios
from degre_pipeline.reranker.search.beam import beam_search
from degre_pipeline.reranker.training.compilation import compiled_ahead

CALLS, BEAM = 50, 8


def measure(repeats: int) -> Figures:
    """Returns the figures of one request by runner; each sample is the mean of many calls."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _measure(repeats)
    finally:
        torch.set_num_threads(threads)


@torch.no_grad()
def _measure(repeats: int) -> Figures:
    generator, evaluator, one = shapes.generator(), shapes.evaluator(), shapes.made_up_requests(1)
    inputs = one.static, one.candidates, one.mask

    def encode(*some: Tensor) -> tuple[Tensor, Tensor]:
        encoded = generator.encode(*some)
        return encoded.memory, encoded.start

    decode = generator.greedy_decode
    with tempfile.TemporaryDirectory() as folder:
        runners: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
            "eager": (decode, encode),
            "compiled": (torch.compile(decode), torch.compile(encode)),
            "aotinductor": (
                compiled_ahead(generator, decode, inputs, Path(folder, "decode.pt2")),
                compiled_ahead(generator, encode, inputs, Path(folder, "encode.pt2")),
            ),
        }
        works: dict[str, Work] = {"beam": lambda: beam_search(evaluator, one, beam_size=BEAM)}
        for name, pair in runners.items():
            for part, run in zip(("decode", "encode"), pair, strict=True):
                works[f"{name} {part}"] = lambda run=run: [run(*inputs) for _ in range(CALLS)]
        seconds = in_turn(works, repeats)
    figures: Figures = {}
    for name in runners:
        taken, encoder = seconds[f"{name} decode"], seconds[f"{name} encode"]
        figures[f"decode.{name}_ms"] = Figure([1000 * second / CALLS for second in taken], "ms")
        figures[f"decode.{name}_over_encoder_forward"] = Figure(ratios(taken, encoder), "times")
        figures[f"decode.beam_over_{name}"] = Figure(ratios(seconds["beam"], taken, CALLS), "times")
    figures["decode.over_encoder_forward"] = figures["decode.aotinductor_over_encoder_forward"]
    return figures
