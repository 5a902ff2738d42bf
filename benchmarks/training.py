"""How near training comes to the speed of its own Transformer layers: `training.fraction_of_bare`.

    PYTHONPATH=src python benchmarks/training.py --repeats 5

Trains the evaluator of `conf/ml1m` by the project's own loop on made-up requests of MovieLens-1M's shape, and
in turn runs its Transformer layers alone, forward, backward and optimizer, over random tensors. A sample is
the FLOP/s of the first over those of the second; PyTorch counts FLOPs: matrix products and attention.
"""

import argparse
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
CANDIDATES, SLOTS, VALIDATION_REQUESTS, CLICK_RATE = 12, 6, 256, 0.2
MODEL = EvaluatorConfig()


def measure(
    repeats: int, *, batch_size: int = 1024, steps: int = 12, threads: int = 2
) -> dict[str, list[float]]:
    """Returns one sample a repetition of every figure; the two loops take turns.

    Args:
        repeats: Repetitions.
        batch_size: Requests a step.
        steps: Steps of either loop in one repetition.
        threads: Threads of PyTorch while measuring.
    """
    samples: dict[str, list[float]] = {
        "training.fraction_of_bare": [],
        "training.requests_per_second": [],
        "training.gflops": [],
        "training.bare_gflops": [],
        "training.step_over_bare_step": [],
    }
    with _threads(threads), seeded(0):
        real, bare = _training_epoch(batch_size, steps), _bare_steps(batch_size, steps)
        flops, bare_flops = _training_flops(batch_size), _bare_flops(batch_size)
        for _ in range(repeats):
            bare_seconds, seconds = bare(), real()
            speed, bare_speed = flops / seconds / 1e9, bare_flops / bare_seconds / 1e9
            samples["training.fraction_of_bare"].append(speed / bare_speed)
            samples["training.requests_per_second"].append(batch_size / seconds)
            samples["training.gflops"].append(speed)
            samples["training.bare_gflops"].append(bare_speed)
            samples["training.step_over_bare_step"].append(seconds / bare_seconds)
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
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    samples = measure(
        options.repeats, batch_size=options.batch_size, steps=options.steps, threads=options.threads
    )
    for name, values in samples.items():
        print(f"{name:32} {statistics.median(values):10.3f}  [{min(values):.3f}, {max(values):.3f}]")


if __name__ == "__main__":
    main()
