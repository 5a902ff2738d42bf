"""The state of a training: all that its further course depends on, to be kept, read back and continued."""

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from degre_pipeline.reranker.fingerprints import fingerprint
from degre_pipeline.reranker.training.distribution import from_first, gathered, rank, world_size
from degre_pipeline.reranker.training.epoch_records import EpochRecords
from degre_pipeline.reranker.training.training_config import TrainingConfig

logger = logging.getLogger(__name__)

History = list[dict[str, float]]
WITHOUT_EFFECT = ("resume", "checkpoint_every_steps", "device")
"""Settings of a training on which its result does not depend; of the device only the kind counts."""
UNTRAINED = (
    "features.py",
    "head_choice.py",
    "metrics.py",
    "miner_training.py",
    "replay.py",
    "support.py",
    "tokens.py",
    "training/step_configs.py",
)
"""Files of the science that no training imports: where they change, kept trainings go on."""


@dataclass(frozen=True)
class State:
    """A training at one moment: tensors by name, and facts that JSON can hold."""

    tensors: Mapping[str, Tensor]
    facts: Mapping[str, Any]


class Checkpoint(Protocol):
    """Where the state of one training is kept, known to belong to it by its identity."""

    def load(self) -> State | None:
        """Returns the state that was kept last, None where there is none of this training."""

    def save(self, state: State) -> None:
        """Keeps a state in place of the one before."""


class Checkpoints(Protocol):
    """Where the states of several trainings are kept."""

    def of(self, name: str, identity: Mapping[str, str]) -> Checkpoint:
        """Returns the place of a training; see `identity_of` for what it is known by."""


@dataclass
class Course:
    """How far a training has come.

    Attributes:
        epoch: The epoch that runs, from 1.
        step: Steps done in it.
        order: State of the generator from which the epoch's order is drawn.
        total: Sum of the epoch's training losses so far.
        rate: Learning rate of the last step.
        seconds: Spent in the epoch by processes that were interrupted.
        history: One row a finished epoch.
        best_weights: Those of the epoch with the best validation loss.
        finished: Whether nothing is left to do.
    """

    epoch: int
    step: int
    order: Tensor
    total: Tensor
    rate: float
    seconds: float
    history: History
    best_weights: dict[str, Tensor]
    finished: bool = False

    @classmethod
    def start(cls, order: Tensor, device: torch.device) -> "Course":
        """Returns the course of a training that has done nothing yet."""
        total = torch.zeros((), device=device)
        return cls(
            epoch=1, step=0, order=order, total=total, rate=0.0, seconds=0.0, history=[], best_weights={}
        )

    def end_epoch(self, order: Tensor) -> None:
        """Goes to the beginning of the next epoch, in place."""
        self.epoch, self.step, self.seconds = self.epoch + 1, 0, 0.0
        self.order, self.total = order, torch.zeros_like(self.total)

    @property
    def epochs_waited(self) -> int:
        """Epochs since the one with the best validation loss."""
        losses = [row["validation_loss"] for row in self.history]
        return len(losses) - 1 - losses.index(min(losses)) if losses else 0


@dataclass(frozen=True)
class Parts:
    """What a training changes, beside its course."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    device: torch.device
    records: EpochRecords | None = None

    def record(self) -> None:
        """Records what is found of the model as it is now, in place."""
        if self.records:
            self.records.add(self.model)


def identity_of(
    training: TrainingConfig,
    device: torch.device,
    settings: Mapping[str, Any],
    *examples: Mapping[str, Tensor],
) -> dict[str, str]:
    """Returns what the result of a training depends on, as short texts by name.

    Args:
        training: How it is trained.
        device: What it is trained on.
        settings: Whatever else decides: of the model, of the loss.
        examples: Tensors of the training and of the validation examples.
    """
    decisive = {name: value for name, value in asdict(training).items() if name not in WITHOUT_EFFECT}
    return {
        "settings": json.dumps({"training": decisive, **settings}, sort_keys=True),
        "data": " ".join(map(fingerprint, examples)),
        "code": _code(),
        "torch": torch.__version__,
        "device": device.type,
        "processes": str(world_size()),
    }


def _code() -> str:
    """Returns the SHA-256 of the source of the science, as far as a training may depend on it."""
    folder, digest = Path(__file__).parents[1], hashlib.sha256()
    for file in sorted(folder.rglob("*.py")):
        name = file.relative_to(folder).as_posix()
        if name not in UNTRAINED:
            digest.update(f"{name}\0".encode() + file.read_bytes() + b"\0")
    return digest.hexdigest()


def keep(checkpoint: Checkpoint | None, course: Course, parts: Parts) -> None:
    """Keeps the state of a training; all processes take part, and the first one writes."""
    if checkpoint is None:
        return
    state = _finished(course) if course.finished else _under_way(course, parts)
    if rank() == 0:
        recorded = _under("records", parts.records.stacked()) if parts.records else {}
        checkpoint.save(State({**state.tensors, **recorded}, state.facts))


def take_up(checkpoint: Checkpoint | None, course: Course, parts: Parts, *, label: str) -> None:
    """Puts course and parts, in place, into the state that the first process finds, if there is one."""
    state = checkpoint.load() if checkpoint is not None and rank() == 0 else None
    state = _from_first(state)
    if state is None:
        return
    course.history = state.facts["history"]
    course.best_weights = _below("best", state.tensors)
    course.finished = state.facts["finished"]
    if parts.records:
        parts.records.put_back(_below("records", state.tensors))
    if course.finished:
        logger.info("%s: resumed finished training of %d epochs", label, len(course.history))
        return
    _put_back(state, course, parts)
    logger.info("%s: resumed in epoch %d after %d steps", label, course.epoch, course.step)


def _finished(course: Course) -> State:
    return State(_under("best", course.best_weights), {"finished": True, "history": course.history})


def _under_way(course: Course, parts: Parts) -> State:
    optimizer, device = parts.optimizer.state_dict(), parts.device
    moments = {
        f"{index}.{name}": t for index, named in optimizer["state"].items() for name, t in named.items()
    }
    random = {"cpu": gathered(torch.get_rng_state())}
    if device.type == "cuda":
        random["cuda"] = gathered(torch.cuda.get_rng_state(device))
    tensors = {
        **_under("model", parts.model.state_dict()),
        **_under("best", course.best_weights),
        **_under("optimizer", moments),
        **_under("random", random),
        "order": course.order,
        "total": gathered(course.total),
    }
    facts = {
        "finished": False,
        "history": course.history,
        "epoch": course.epoch,
        "step": course.step,
        "rate": course.rate,
        "seconds": course.seconds,
        "optimizer": optimizer["param_groups"],
        "schedule": parts.schedule.state_dict(),
    }
    return State(tensors, facts)


def _put_back(state: State, course: Course, parts: Parts) -> None:
    facts, tensors = state.facts, state.tensors
    course.epoch, course.step, course.seconds = facts["epoch"], facts["step"], facts["seconds"]
    course.rate = facts["rate"]
    course.order, course.total = tensors["order"], tensors["total"][rank()].to(parts.device)
    parts.model.load_state_dict(_below("model", tensors))
    moments: dict[int, dict[str, Tensor]] = {}
    for key, tensor in _below("optimizer", tensors).items():
        index, _, name = key.partition(".")
        moments.setdefault(int(index), {})[name] = tensor
    groups = [{**group, "betas": tuple(group["betas"])} for group in facts["optimizer"]]
    parts.optimizer.load_state_dict({"state": moments, "param_groups": groups})
    parts.schedule.load_state_dict(dict(facts["schedule"]))
    # Clones, because PyTorch crashes when a generator's state begins within the memory of another tensor.
    torch.set_rng_state(tensors["random.cpu"][rank()].clone())
    if parts.device.type == "cuda":
        torch.cuda.set_rng_state(tensors["random.cuda"][rank()].clone(), parts.device)


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    start = f"{prefix}."
    return {name.removeprefix(start): t for name, t in tensors.items() if name.startswith(start)}


def _from_first(state: State | None) -> State | None:
    """Returns the first process's state on every process, as bytes and without pickle."""
    if world_size() == 1:
        return state
    tensors = {} if state is None else {n: t.detach().cpu().contiguous() for n, t in state.tensors.items()}
    forms = {name: [str(t.dtype).removeprefix("torch."), list(t.shape)] for name, t in tensors.items()}
    told = json.loads(from_first(json.dumps([forms, None if state is None else state.facts]).encode()))
    content = from_first(
        b"".join(t.reshape(-1).view(torch.uint8).numpy().tobytes() for t in tensors.values())
    )
    if told[1] is None:
        return None
    received, start = {}, 0
    for name, (kind, shape) in told[0].items():
        empty = torch.empty(shape, dtype=getattr(torch, kind))
        flat = bytearray(content[start : start + empty.nbytes])
        start += empty.nbytes
        received[name] = torch.frombuffer(flat, dtype=empty.dtype).reshape(shape) if flat else empty
    return State(received, told[1])
