"""One training loop for every model: batch, forward, backward, clip, step, validate, keep the best."""

import copy
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, Self, TypeVar

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from degre_pipeline.reranker.checked_settings import Switch, require
from degre_pipeline.reranker.training.compilation import compiled
from degre_pipeline.reranker.training.distribution import (
    gathered,
    gradients_exchanged,
    own_gpu,
    rank,
    replicated,
    summed,
    world_size,
)
from degre_pipeline.reranker.training.epoch_records import EpochRecords
from degre_pipeline.reranker.training.training_config import TrainingConfig
from degre_pipeline.reranker.training.training_state import Checkpoint, Course, History, Parts, keep, take_up

_RISING_SHARE, _LEAST_CYCLE = 0.2, 3
"""Of a one-cycle rate: share of the steps in which it rises, and the fewest steps of a cycle."""


class Examples(Protocol):
    """Training examples of requests: anything that can be counted, selected and moved."""

    @property
    def request_id(self) -> Tensor:
        """Ids of the requests, [b]."""

    def __len__(self) -> int:
        """Returns the number of requests."""

    def select(self, rows: Tensor | slice) -> Self:
        """Returns the given rows."""

    def to(self, device: torch.device | str) -> Self:
        """Returns the examples on a device."""


E = TypeVar("E", bound=Examples)


class NotANumberError(ArithmeticError):
    """The loss became NaN or infinite."""


def fit(
    model: nn.Module,
    loss_of: Callable[[nn.Module, E], Tensor],
    training: E,
    validation: E,
    config: TrainingConfig,
    *,
    label: str,
    measure: Callable[[nn.Module], dict[str, float]] | None = None,
    records: EpochRecords | None = None,
    checkpoint: Checkpoint | None = None,
    clip: Callable[[float], object] | None = None,
) -> History:
    """Trains in place and leaves the model with the weights of its best validation loss, in eval mode.

    Args:
        model: Moved to the configured device.
        loss_of: Mean loss of a batch.
        training: Examples to learn from; a last batch smaller than the others is left out of an epoch.
        validation: Examples that decide when to stop and which weights to keep.
        config: Epochs, rate, device and so on.
        label: Name on the progress bar.
        measure: Further figures of the model after each epoch.
        records: Filled in place with what they find of the model after each epoch.
        clip: Limits the gradients to a norm; by default that of all parameters together.
        checkpoint: Where the state of this training is kept. What is found there is continued to the same
            weights and history as without the interruption, or, if it had finished, not done again.
    Returns: One row an epoch: epoch, training_loss, validation_loss, learning_rate, seconds and what
        `measure` gave.
    Raises: NotANumberError: If a loss is not finite; names the step and the request ids, or the epoch when it
        is the validation loss. ValueError: If a batch cannot be divided among processes and parts.
    """
    kept = checkpoint if config.resume else None
    # Each process has a dropout of its own.
    with seeded(config.seed + rank()):
        return _run(
            model,
            loss_of,
            training,
            validation,
            config,
            label=label,
            measure=measure,
            records=records,
            checkpoint=kept,
            clip=clip or (lambda most: nn.utils.clip_grad_norm_(model.parameters(), most)),
        )


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seeds torch's generators for what is done inside, and leaves them as they were."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


def _run(
    model: nn.Module,
    loss_of: Callable[[nn.Module, E], Tensor],
    training: E,
    validation: E,
    config: TrainingConfig,
    *,
    label: str,
    measure: Callable[[nn.Module], dict[str, float]] | None,
    records: EpochRecords | None,
    checkpoint: Checkpoint | None,
    clip: Callable[[float], object],
) -> History:
    """Runs the loop of `fit`: batch, forward, backward, clip, step, validate, keep the best."""
    device = choose_device(config.device)
    model.to(device)
    forward = replicated(compiled(model, config.compile, device), device)
    order = torch.Generator().manual_seed(config.seed)
    lasting = _on(config, len(training))
    steps = len(training) // lasting.batch_size
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=config.learning_rate,
        weight_decay=config.weight_decay,
        fused=True,
    )
    schedule = _schedule(optimizer, lasting, steps)
    parts, course = (
        Parts(model, optimizer, schedule, device, records),
        Course.start(order.get_state(), device),
    )
    take_up(checkpoint, course, parts, label=label)
    progress = tqdm(
        total=steps * lasting.epochs,
        initial=(course.epoch - 1) * steps + course.step,
        desc=label,
        unit="step",
        mininterval=1.0,
        disable=course.finished or rank() > 0,
    )
    while not course.finished:
        started = time.perf_counter() - course.seconds
        model.train()
        order.set_state(course.order)
        batches = torch.randperm(len(training), generator=order).split(lasting.batch_size)[:steps]
        for step in range(course.step, steps):
            optimizer.zero_grad(set_to_none=True)
            shares = batches[step].chunk(world_size() * config.accumulate)[rank() :: world_size()]
            for place, rows in enumerate(shares, start=1):
                batch = training.select(rows).to(device)
                with gradients_exchanged(forward, now=place == len(shares)):
                    with autocast(device, config.bfloat16):
                        loss = loss_of(forward, batch)
                    if not bool(loss.isfinite()):
                        raise NotANumberError(
                            _explain(label, float(loss.detach()), course.epoch, step, batch)
                        )
                    (loss / len(shares)).backward()
                course.total += loss.detach() / len(shares)
            clip(config.gradient_clip)
            optimizer.step()
            course.rate = float(schedule.get_last_lr()[0])
            schedule.step()
            progress.update()
            course.step = step + 1
            if config.checkpoint_every_steps and course.step % config.checkpoint_every_steps == 0:
                course.seconds = time.perf_counter() - started
                keep(checkpoint, course, parts)
        validation_loss = mean_loss(model, loss_of, validation, config)
        _require_finite(validation_loss, f"{label}: validation loss", f"after epoch {course.epoch}")
        row = {
            "epoch": float(course.epoch),
            "training_loss": float(gathered(course.total).mean()) / steps,
            "validation_loss": validation_loss,
            "learning_rate": course.rate,
            "seconds": time.perf_counter() - started,
            **(measure(model) if measure else {}),
        }
        course.history.append(row)
        parts.record()
        progress.set_postfix(
            epoch=course.epoch, train=f"{row['training_loss']:.4f}", valid=f"{validation_loss:.4f}"
        )
        if course.epochs_waited == 0:
            course.best_weights = copy.deepcopy(model.state_dict())
        course.finished = course.epoch == lasting.epochs or course.epochs_waited >= lasting.patience
        course.end_epoch(order.get_state())
        keep(checkpoint, course, parts)
    progress.close()
    model.load_state_dict(course.best_weights)
    model.eval()
    return course.history


@torch.no_grad()
def mean_loss(
    model: nn.Module, loss_of: Callable[[nn.Module, E], Tensor], examples: E, config: TrainingConfig
) -> float:
    """Returns the mean loss over all examples, in eval mode; each process takes its share of the batches."""
    device = choose_device(config.device)
    model.eval()
    total = 0.0
    for start in range(rank() * config.batch_size, len(examples), world_size() * config.batch_size):
        batch = examples.select(slice(start, start + config.batch_size)).to(device)
        with autocast(device, config.bfloat16):
            total += float(loss_of(model, batch)) * len(batch)
    return summed(total) / len(examples)


def choose_device(name: str) -> torch.device:
    """Returns the device of a setting; `auto` is CUDA when there is one, a GPU for each process.

    Raises: ValueError: If the name is no device, if CUDA is asked for and absent, or if one GPU is named for
        several processes.
    """
    if name == "auto":
        return own_gpu() if torch.cuda.is_available() else torch.device("cpu")
    allowed = "auto, cpu, cuda, cuda:0, …"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"device is {name!r}; allowed: {allowed}") from error
    require(
        device.type != "cuda" or torch.cuda.is_available(),
        "device",
        name,
        "auto or cpu: no CUDA GPU was found",
    )
    require(
        device.index is None or world_size() == 1,
        "device",
        name,
        f"auto, cpu or cuda in {world_size()} processes",
    )
    return own_gpu() if device.type == "cuda" and device.index is None else device


def autocast(device: torch.device, bfloat16: Switch) -> torch.autocast:
    """Returns the autocast context of a setting: `auto` is bfloat16 on CUDA only."""
    enabled = bfloat16 == "on" or (bfloat16 == "auto" and device.type == "cuda")
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled)


def _on(config: TrainingConfig, examples: int) -> TrainingConfig:
    """Returns the settings for so many requests, whose batches can be divided among processes and parts."""
    shares = world_size() * config.accumulate
    require(
        config.batch_size % shares == 0,
        "batch_size",
        config.batch_size,
        f"a multiple of {shares}: {world_size()} processes times accumulate {config.accumulate}",
    )
    require(examples >= shares, "number of training requests", examples, f"{shares} or more, one a share")
    return config.on(examples, shares)


def _schedule(
    optimizer: torch.optim.Optimizer, config: TrainingConfig, steps: int
) -> torch.optim.lr_scheduler.LRScheduler:
    if config.schedule == "constant":
        return torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0, total_iters=1)
    # The rate has to rise and to fall, each for a step or more, or OneCycleLR divides by zero.
    total = max(steps * config.epochs, _LEAST_CYCLE)
    rise = max(_RISING_SHARE, 2 / total)
    return torch.optim.lr_scheduler.OneCycleLR(
        optimizer, config.learning_rate, total_steps=total, pct_start=rise
    )


def _require_finite(loss: float, name: str, moment: str) -> None:
    if not math.isfinite(loss):
        raise NotANumberError(f"{name} is {loss} {moment}; allowed: finite")


def _explain(label: str, loss: float, epoch: int, step: int, batch: Examples) -> str:
    ids = batch.request_id.tolist()
    shown = ", ".join(map(str, ids[:20])) + (f", … ({len(ids)} in all)" if len(ids) > 20 else "")
    return f"{label}: loss is {loss} at epoch {epoch}, step {step}; allowed: finite. Requests: {shown}"
