"""Checkpoints of trainings as files: whole or not there, and never continued by another training."""

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.io import DatasetError

from degre_pipeline.datasets.atomic import remove_leftovers
from degre_pipeline.datasets.tensor_files import read_header, read_tensors, write_tensors

if TYPE_CHECKING:
    from degre_pipeline.reranker.training.training_state import State

logger = logging.getLogger(__name__)

_CHECKPOINT = "checkpoint"
SET_ASIDE = ".set_aside"


@dataclass(frozen=True)
class CheckpointFolder:
    """A folder with one file a training.

    Attributes:
        folder: Where the files lie; it is made when the first one is written.
    """

    folder: Path

    def of(self, name: str, identity: Mapping[str, str]) -> "CheckpointFile":
        """Return the checkpoint of a training.

        Args:
            name: File name stem.
            identity: What the result of the training depends on, by name.
        """
        return CheckpointFile(self.folder / f"{name}.safetensors", dict(identity))


@dataclass(frozen=True)
class CheckpointFile:
    """The last state of one training.

    Attributes:
        path: The safetensors file; what is no tensor is JSON in its header.
        identity: What the result of the training depends on, by name.
    """

    path: Path
    identity: dict[str, str]

    def load(self) -> "State | None":
        """Return the stored state, or None; a file of another training is set aside, with a warning."""
        remove_leftovers(self.path.parent, self.path.name)
        if not self.path.exists():
            return None
        try:
            state, identity = _read(self.path)
        except (DatasetError, KeyError, TypeError, ValueError) as error:
            self._set_aside(f"it is damaged: {error}")
            return None
        if identity != self.identity:
            self._set_aside(_difference(identity, self.identity))
            return None
        return state

    def save(self, state: "State") -> None:
        """Write the state in one step, in place of the one before."""
        header = json.dumps([self.identity, state.facts])
        write_tensors(self.path, state.tensors, {_CHECKPOINT: header})

    def _set_aside(self, reason: str) -> None:
        aside = self.path.with_name(f"{self.path.stem}{SET_ASIDE}{self.path.suffix}")
        os.replace(self.path, aside)
        logger.warning("Training begins anew; the checkpoint is set aside as %s, because %s", aside, reason)


def _read(path: Path) -> "tuple[State, dict[str, str]]":
    # Imported here so that reading the catalog does not load the science.
    from degre_pipeline.reranker.training.training_state import State

    identity, facts = json.loads(read_header(path)[_CHECKPOINT])
    # Copies, because sums differ in the last bit where tensors lie in memory otherwise than before.
    tensors = {name: tensor.clone() for name, tensor in read_tensors(path).items()}
    return State(tensors, facts), identity


def _difference(found: Mapping[str, Any], wanted: Mapping[str, str]) -> str:
    """Return in words how two identities differ; a setting that differs is named with both values."""
    names = [name for name in wanted if found.get(name) != wanted[name]]
    parts = []
    for name in names:
        if name == "settings":
            one, other = (_leaves(json.loads(text)) for text in (found[name], wanted[name]))
            changed = sorted(leaf for leaf in one.keys() | other.keys() if one.get(leaf) != other.get(leaf))
            parts += [f"{leaf} was {one.get(leaf)!r} and is {other.get(leaf)!r}" for leaf in changed]
        elif name in {"data", "code"}:
            parts.append(f"the {name} changed")
        else:
            parts.append(f"{name} was {found.get(name)!r} and is {wanted[name]!r}")
    return "; ".join(parts) or "it is of another kind"


def _leaves(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    leaves: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            leaves |= _leaves(value, f"{prefix}{name}.")
        else:
            leaves[f"{prefix}{name}"] = value
    return leaves
