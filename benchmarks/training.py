"""How near training comes to the speed of its own Transformer layers: `training.fraction_of_bare`.

    PYTHONPATH=src python benchmarks/training.py --repeats 5

Trains the evaluator of `conf/ml1m` by the project's own loop on made-up requests of MovieLens-1M's shape.
Between any two steps it takes one step of the Transformer layers alone, forward, backward and optimizer, over
random tensors, so that whatever else the machine does slows both alike. The fraction counts the FLOPs of
these layers only: all else that a step of training does, the feature layer too, is time lost. The rates
beside it count all FLOPs of either step.
"""

import argparse
import math
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from degre_pipeline.reranker.batching import Requests
from degre_pipeline.reranker.configs import EvaluatorConfig, TrainingConfig
from degre_pipeline.reranker.models.evaluator import LookaheadEvaluator, build_evaluator
from degre_pipeline.reranker.objectives import evaluator_loss
from degre_pipeline.reranker.schema import FieldSize
from degre_pipeline.reranker.training import fit, seeded

FIELDS = (
    FieldSize("user_id", "categorical", "user", 1, 6041),
    FieldSize("gender", "categorical", "user", 1, 3),
    FieldSize("age", "categorical", "user", 1, 8),
    FieldSize("occupation", "categorical", "user", 1, 22),
    FieldSize("hour", "categorical", "context", 1, 25),
    FieldSize("weekday", "categorical", "context", 1, 8),
    FieldSize("item_id", "categorical", "item", 1, 3707),
    FieldSize("genres", "tags", "item", 4, 19),
    FieldSize("year", "numeric", "item", 1, 33),
    FieldSize("ranking_score", "numeric", "score", 1, 33),
)
CANDIDATES, SLOTS, VALIDATION_REQUESTS, CLICK_RATE, WARM_UP = 12, 6, 256, 0.2, 2
MODEL = EvaluatorConfig()


def measure(
    repeats: int, *, batch_size: int = 1024, steps: int = 8, threads: int = 2
) -> dict[str, list[float]]:
    """Returns one sample a repetition of every figure, each from the medians over the repetition's steps.

    Args:
        repeats: Repetitions.
        batch_size: Requests a step.
        steps: Steps of either kind in one repetition, after two that warm up.
        threads: Threads of PyTorch while measuring.
    """
    samples: dict[str, list[float]] = {
        "training.fraction_of_bare": [],
        "training.requests_per_second": [],
        "training.gflops": [],
        "training.bare_gflops": [],
    }
    with _threads(threads), seeded(0):
        flops, bare_flops = _training_flops(batch_size), _bare_flops(batch_size)
        for _ in range(repeats):
            seconds, bare_seconds = _seconds_a_step(batch_size, steps)
            samples["training.fraction_of_bare"].append(bare_seconds / seconds)
            samples["training.requests_per_second"].append(batch_size / seconds)
            samples["training.gflops"].append(flops / seconds / 1e9)
            samples["training.bare_gflops"].append(bare_flops / bare_seconds / 1e9)
    return samples


def made_up_requests(count: int) -> Requests:
    """Returns requests of MovieLens-1M's shape with ids, features, lists and clicks drawn at random."""
    static = [field for field in FIELDS if not field.per_candidate]
    candidate = [field for field in FIELDS if field.per_candidate]
    return Requests(
        request_id=torch.arange(count),
        split=torch.zeros(count, dtype=torch.uint8),
        role=torch.zeros(count, dtype=torch.uint8),
        static=_indices((count,), static),
        candidates=_indices((count, CANDIDATES), candidate),
        mask=torch.ones(count, CANDIDATES, dtype=torch.bool),
        scores=torch.randn(count, CANDIDATES),
        exposed=torch.rand(count, CANDIDATES).argsort(1)[:, :SLOTS].contiguous(),
        exposed_mask=torch.ones(count, SLOTS, dtype=torch.bool),
        clicks=(torch.rand(count, SLOTS) < CLICK_RATE).float(),
    )


def _indices(shape: tuple[int, ...], fields: list[FieldSize]) -> Tensor:
    columns = [torch.randint(0, field.indices, (*shape, field.columns)) for field in fields]
    return torch.cat(columns, -1).int()


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


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def main() -> None:
    """Print the median and the range of every figure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=1024)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    samples = measure(
        options.repeats, batch_size=options.batch_size, steps=options.steps, threads=options.threads
    )
    for name, values in samples.items():
        print(f"{name:32} {statistics.median(values):10.3f}  [{min(values):.3f}, {max(values):.3f}]")


if __name__ == "__main__":
    main()
