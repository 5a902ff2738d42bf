"""How near training comes to the speed of its own Transformer layers: `training.fraction_of_bare`.

Trains the evaluator of `conf/ml1m` by the project's own loop on made-up requests of MovieLens-1M's shape.
Between any two steps it takes one step of the Transformer layers alone, forward, backward and optimizer, over
random tensors, so that whatever else the machine does slows both alike. The fraction counts the FLOPs of
these layers only: all else that a step of training does, the feature layer too, is time lost. The rates
beside it count all FLOPs of either step.
"""

import math
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.shapes import FIELDS, SLOTS, made_up_requests
from benchmarks.timing import Figure, Figures
from degre_pipeline.reranker.models.builders import build_evaluator
from degre_pipeline.reranker.models.evaluator import LookaheadEvaluator
from degre_pipeline.reranker.models.model_config import EvaluatorConfig
from degre_pipeline.reranker.requests import Requests
from degre_pipeline.reranker.training.loop import fit, seeded
from degre_pipeline.reranker.training.objectives import evaluator_loss
from degre_pipeline.reranker.training.training_config import TrainingConfig

VALIDATION_REQUESTS, WARM_UP = 256, 2
BATCH_SIZE, STEPS = 1024, 8
MODEL = EvaluatorConfig()


def measure(repeats: int) -> Figures:
    """Returns one sample a round of every figure, each from the medians over the round's steps."""
    fraction, speed, rate = [], [], []
    with seeded(0):
        flops = _training_flops(BATCH_SIZE)
        for _ in range(repeats):
            seconds, bare_seconds = _seconds_a_step(BATCH_SIZE, STEPS)
            fraction.append(bare_seconds / seconds)
            speed.append(flops / seconds / 1e9)
            rate.append(BATCH_SIZE / seconds)
    return {
        "training.fraction_of_bare": Figure(fraction, "share"),
        "training.gflops": Figure(speed, "GFLOP/s"),
        "training.requests_per_second": Figure(rate, "requests/s"),
    }


def _seconds_a_step(batch_size: int, steps: int) -> tuple[float, float]:
    """Returns the seconds of a step of training, from one loss to the next, and of one of the bare layers."""
    real: list[float] = []
    bare: list[float] = []
    take_bare_step = _bare_step(batch_size)
    ended = math.nan

    def loss_of(model: nn.Module, requests: Requests) -> Tensor:
        nonlocal ended
        if model.training:
            started = time.perf_counter()
            real.append(started - ended)
            take_bare_step()
            ended = time.perf_counter()
            bare.append(ended - started)
        return evaluator_loss(model, requests)

    learn, check = made_up_requests(batch_size * (steps + WARM_UP)), made_up_requests(VALIDATION_REQUESTS)
    config = TrainingConfig(epochs=1, batch_size=batch_size, device="cpu", compile="off")
    fit(_evaluator(), loss_of, learn, check, config, label="evaluator")
    return statistics.median(real[WARM_UP:]), statistics.median(bare[WARM_UP:])


def _bare_step(batch_size: int) -> Callable[[], None]:
    """Returns a function that takes one step of the bare layers."""
    layers, x = _evaluator().layers.train(), torch.randn(batch_size, SLOTS, MODEL.width)
    optimizer = torch.optim.AdamW(layers.parameters(), lr=1e-4, weight_decay=0.0, fused=True)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        _through(layers, x).square().mean().backward()
        optimizer.step()

    return step


def _training_flops(batch_size: int) -> int:
    """Returns the FLOPs of one training step of the whole evaluator."""
    requests, evaluator = made_up_requests(batch_size), _evaluator().train()
    return _counted(lambda: evaluator_loss(evaluator, requests).backward())


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
