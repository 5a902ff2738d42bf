"""How near training comes to the speed of its own Transformer layers: `training.fraction_of_bare`.

Trains the evaluator of `conf/ml1m` by the project's own loop on made-up requests of MovieLens-1M's shape, and
in turn runs its Transformer layers alone, forward, backward and optimizer, over random tensors. A sample is
the FLOP/s of the first over those of the second; PyTorch counts FLOPs: matrix products and attention.
"""

import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.shapes import FIELDS, SLOTS, made_up_requests
from benchmarks.timing import Figure, Figures
from degre_pipeline.reranker.configs import EvaluatorConfig, TrainingConfig
from degre_pipeline.reranker.models.evaluator import LookaheadEvaluator, build_evaluator
from degre_pipeline.reranker.objectives import evaluator_loss
from degre_pipeline.reranker.training import fit, seeded

VALIDATION_REQUESTS = 256
MODEL = EvaluatorConfig()


BATCH_SIZE, STEPS = 1024, 12


def measure(repeats: int) -> Figures:
    """Returns one sample a round of every figure; the two loops take turns."""
    fraction, speed, rate = [], [], []
    with seeded(0):
        real, bare = _training_epoch(BATCH_SIZE, STEPS), _bare_steps(BATCH_SIZE, STEPS)
        flops, bare_flops = _training_flops(BATCH_SIZE), _bare_flops(BATCH_SIZE)
        for _ in range(repeats):
            bare_seconds, seconds = bare(), real()
            speed.append(flops / seconds / 1e9)
            fraction.append(speed[-1] / (bare_flops / bare_seconds / 1e9))
            rate.append(BATCH_SIZE / seconds)
    return {
        "training.fraction_of_bare": Figure(fraction, "share"),
        "training.gflops": Figure(speed, "GFLOP/s"),
        "training.requests_per_second": Figure(rate, "requests/s"),
    }


def _training_epoch(batch_size: int, steps: int) -> Callable[[], float]:
    """Returns a function that trains two epochs and gives the seconds a step of the second, warm one."""
    learn, check = made_up_requests(batch_size * steps), made_up_requests(VALIDATION_REQUESTS)
    config = TrainingConfig(epochs=2, batch_size=batch_size, device="cpu", compile="off")

    def run() -> float:
        history = fit(_evaluator(), evaluator_loss, learn, check, config, label="evaluator")
        return history[-1]["seconds"] / steps

    return run


def _bare_steps(batch_size: int, steps: int) -> Callable[[], float]:
    """Returns a function that gives the seconds a step of the bare layers, after a warm-up."""
    layers, x = _evaluator().layers.train(), torch.randn(batch_size, SLOTS, MODEL.width)
    optimizer = torch.optim.AdamW(layers.parameters(), lr=1e-4, weight_decay=0.0, fused=True)

    def run() -> float:
        for step in range(steps + 2):
            if step == 2:
                started = time.perf_counter()
            optimizer.zero_grad(set_to_none=True)
            _through(layers, x).square().mean().backward()
            optimizer.step()
        return (time.perf_counter() - started) / steps

    return run


def _training_flops(batch_size: int) -> int:
    """Returns the FLOPs of one training step of the whole evaluator."""
    requests, evaluator = made_up_requests(batch_size), _evaluator().train()
    return _counted(lambda: evaluator_loss(evaluator, requests).backward())


def _bare_flops(batch_size: int) -> int:
    layers, x = _evaluator().layers.train(), torch.randn(batch_size, SLOTS, MODEL.width)
    return _counted(lambda: _through(layers, x).square().mean().backward())


def _counted(work: Callable[[], None]) -> int:
    with FlopCounterMode(display=False) as counter:
        work()
    return int(counter.get_total_flops())


def _through(layers: nn.Module, x: Tensor) -> Tensor:
    for layer in layers.children():
        x = layer(x, causal=True)
    return x


def _evaluator() -> LookaheadEvaluator:
    return build_evaluator(FIELDS, SLOTS, MODEL)
