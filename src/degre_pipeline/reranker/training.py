"""One training loop for every model: batch, forward, backward, clip, step, validate, keep the best."""

import copy
import importlib.util
import logging
import math
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, Self, TypeVar

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from degre_pipeline.reranker.configs import Switch, TrainingConfig, require

logger = logging.getLogger(__name__)


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
Loss = Callable[[Any, Any], Tensor]
History = list[dict[str, float]]


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
    Returns: One row an epoch: epoch, training_loss, validation_loss, learning_rate, seconds and what
        `measure` gave.
    Raises: NotANumberError: If a loss is not finite; names the step and the request ids, or the epoch when it
        is the validation loss.
    """
    with seeded(config.seed):
        return _run(model, loss_of, training, validation, config, label=label, measure=measure)


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
) -> History:
    """Runs the loop of `fit`: batch, forward, backward, clip, step, validate, keep the best."""
    device = choose_device(config.device)
    model.to(device)
    forward = compiled(model, config.compile, device)
    order = torch.Generator().manual_seed(config.seed)
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=config.learning_rate,
        weight_decay=config.weight_decay,
        fused=True,
    )
    batch_size = min(config.batch_size, len(training))
    steps = len(training) // batch_size
    schedule = _schedule(optimizer, config, steps)
    history: History = []
    best, best_weights, waited = math.inf, copy.deepcopy(model.state_dict()), 0
    progress = tqdm(total=steps * config.epochs, desc=label, unit="step", mininterval=1.0)
    for epoch in range(1, config.epochs + 1):
        started, total = time.perf_counter(), torch.zeros((), device=device)
        model.train()
        for step, rows in enumerate(torch.randperm(len(training), generator=order).split(batch_size)[:steps]):
            batch = training.select(rows).to(device)
            with autocast(device, config.bfloat16):
                loss = loss_of(forward, batch)
            if not bool(loss.isfinite()):
                raise NotANumberError(_explain(label, float(loss.detach()), epoch, step, batch))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), config.gradient_clip)
            optimizer.step()
            rate = float(schedule.get_last_lr()[0])
            schedule.step()
            total += loss.detach()
            progress.update()
        validation_loss = mean_loss(model, loss_of, validation, config)
        if not math.isfinite(validation_loss):
            raise NotANumberError(
                f"{label}: validation loss is {validation_loss} after epoch {epoch}; allowed: finite"
            )
        row = {
            "epoch": float(epoch),
            "training_loss": float(total) / steps,
            "validation_loss": validation_loss,
            "learning_rate": rate,
            "seconds": time.perf_counter() - started,
            **(measure(model) if measure else {}),
        }
        history.append(row)
        progress.set_postfix(epoch=epoch, train=f"{row['training_loss']:.4f}", valid=f"{validation_loss:.4f}")
        waited = 0 if validation_loss < best else waited + 1
        if validation_loss < best:
            best, best_weights = validation_loss, copy.deepcopy(model.state_dict())
        if waited >= config.patience:
            break
    progress.close()
    model.load_state_dict(best_weights)
    model.eval()
    return history


@torch.no_grad()
def mean_loss(
    model: nn.Module, loss_of: Callable[[nn.Module, E], Tensor], examples: E, config: TrainingConfig
) -> float:
    """Returns the mean loss over all examples, in eval mode."""
    device = choose_device(config.device)
    model.eval()
    total = 0.0
    for start in range(0, len(examples), config.batch_size):
        batch = examples.select(slice(start, start + config.batch_size)).to(device)
        with autocast(device, config.bfloat16):
            total += float(loss_of(model, batch)) * len(batch)
    return total / len(examples)


def choose_device(name: str) -> torch.device:
    """Returns the device of a setting; `auto` is CUDA when there is one.

    Raises: ValueError: If the name is no device or CUDA is asked for and absent.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
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
    return device


def autocast(device: torch.device, bfloat16: Switch) -> torch.autocast:
    """Returns the autocast context of a setting: `auto` is bfloat16 on CUDA only."""
    enabled = bfloat16 == "on" or (bfloat16 == "auto" and device.type == "cuda")
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled)


def compiled(model: nn.Module, switch: Switch, device: torch.device) -> nn.Module:
    """Returns the model, compiled when asked for; `auto` compiles on CUDA only.

    On two CPU cores compiling took 45 s and made training 1.15 times as fast, so `auto` does not.
    Falls back to the plain model, with a message, where no C++ compiler is found.
    """
    if switch == "off" or (switch == "auto" and device.type != "cuda"):
        return model
    if not any(map(shutil.which, ("g++", "clang++", "cl"))) or not _has_kernels(device):
        logger.warning("compile is %r but no compiler or Triton was found; training is uncompiled", switch)
        return model
    return torch.compile(model)  # type: ignore[return-value]


def _has_kernels(device: torch.device) -> bool:
    """Returns whether the code generator of a device is installed: Triton for CUDA."""
    return device.type != "cuda" or importlib.util.find_spec("triton") is not None


def _schedule(
    optimizer: torch.optim.Optimizer, config: TrainingConfig, steps: int
) -> torch.optim.lr_scheduler.LRScheduler:
    if config.schedule == "constant":
        return torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0, total_iters=1)
    total = max(steps * config.epochs, 2)
    return torch.optim.lr_scheduler.OneCycleLR(
        optimizer, config.learning_rate, total_steps=total, pct_start=0.2
    )


def _explain(label: str, loss: float, epoch: int, step: int, batch: Examples) -> str:
    ids = batch.request_id.tolist()
    shown = ", ".join(map(str, ids[:20])) + (f", … ({len(ids)} in all)" if len(ids) > 20 else "")
    return f"{label}: loss is {loss} at epoch {epoch}, step {step}; allowed: finite. Requests: {shown}"
