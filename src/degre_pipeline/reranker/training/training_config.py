"""How a model is trained, with the paper's values as defaults."""

from dataclasses import dataclass, replace
from typing import Literal

from degre_pipeline.reranker.checked_settings import Switch, check_types, require, require_choice

Schedule = Literal["constant", "one_cycle"]

SMALLEST_BATCH = 32
"""Requests a step at least, where a training on few requests takes smaller batches."""


@dataclass(frozen=True)
class TrainingConfig:
    """How a model is trained.

    Attributes:
        epochs: Most passes over the training requests.
        warm_epochs: The same where a training starts from an earlier model's weights; 0: as many as `epochs`.
        batch_size: Requests a step, over all processes; a multiple of processes times `accumulate`.
        least_steps: Steps of a whole training at least: on few requests batches are smaller, down to 32, and
            then epochs more; 0: as many as there are.
        accumulate: Equal parts of a step's requests that are computed one after another, to save memory.
        learning_rate: Rate of Adam; the peak when the schedule is `one_cycle`.
        schedule: `constant` (the paper) or `one_cycle`.
        weight_decay: Decoupled weight decay.
        gradient_clip: Largest norm of the gradient.
        patience: Epochs without a better validation loss before training stops.
        device: `auto` (CUDA when there is one), `cpu`, `cuda`, `cuda:0`, ….
        bfloat16: Autocast to bfloat16: `auto` (on CUDA only), `on` or `off`.
        compile: `torch.compile`: `auto` (on CUDA only), `on` (not without a C++ compiler) or `off`.
        seed: Of weights, order and dropout.
        resume: Continues a training of the same settings, data and code that was interrupted, and does not
            repeat a finished one. Off begins anew and keeps no checkpoints.
        checkpoint_every_steps: Steps of an epoch between two checkpoints; 0: only when an epoch ends.
    Source: DeGRe (arXiv 2605.25749), 5.1.4: Adam, 5e-4, 1,024.
    """

    epochs: int = 20
    warm_epochs: int = 0
    batch_size: int = 1024
    least_steps: int = 0
    accumulate: int = 1
    learning_rate: float = 5e-4
    schedule: Schedule = "constant"
    weight_decay: float = 0.0
    gradient_clip: float = 1.0
    patience: int = 2
    device: str = "auto"
    bfloat16: Switch = "auto"
    compile: Switch = "auto"
    seed: int = 0
    resume: bool = True
    checkpoint_every_steps: int = 200

    def __post_init__(self) -> None:
        check_types(self)
        for name in ("epochs", "batch_size", "accumulate", "patience"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "1 or more")
        require(
            self.batch_size % self.accumulate == 0,
            "accumulate",
            self.accumulate,
            f"a divisor of batch_size {self.batch_size}",
        )
        require(self.least_steps >= 0, "least_steps", self.least_steps, "0 or more")
        every = self.checkpoint_every_steps
        require(every >= 0, "checkpoint_every_steps", every, "0 (at the ends of epochs) or more")
        require(self.warm_epochs >= 0, "warm_epochs", self.warm_epochs, "0 (as many as epochs) or more")
        for name in ("learning_rate", "gradient_clip"):
            require(getattr(self, name) > 0, name, getattr(self, name), "above 0")
        require(self.weight_decay >= 0, "weight_decay", self.weight_decay, "0 or more")
        require_choice("schedule", self.schedule, Schedule)
        require_choice("bfloat16", self.bfloat16, Switch)
        require_choice("compile", self.compile, Switch)

    def on(self, requests: int, shares: int) -> "TrainingConfig":
        """Returns the same training on so many requests, with batches and epochs that make `least_steps`.

        Args:
            requests: That are learned from.
            shares: Into which every batch is divided, over processes and parts.
        """
        size, epochs = self.batch_size, self.epochs
        if self.least_steps * size > requests * epochs:
            smallest = min(size, SMALLEST_BATCH)
            size = max(smallest, requests * epochs // self.least_steps)
        size = max(min(size, requests) // shares * shares, shares)
        epochs = max(epochs, -(-self.least_steps // max(requests // size, 1)))
        patience = -(-self.patience * epochs // self.epochs)
        return replace(self, batch_size=size, epochs=epochs, patience=patience)

    def warm(self) -> "TrainingConfig":
        """Returns the same training where it starts from an earlier model's weights."""
        return replace(self, epochs=self.warm_epochs or self.epochs)
