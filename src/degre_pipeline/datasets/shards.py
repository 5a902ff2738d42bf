"""What a node hands to, and gets back from, a folder of shards."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from degre_pipeline.datasets.tensor_files import read_tensor, read_tensors


@dataclass(frozen=True)
class Shards:
    """A long computation cut into named pieces, each of which can be made alone.

    Attributes:
        fingerprint: Identifies inputs and settings; shards of another fingerprint are never reused.
        names: One file name stem a shard, in the order in which they are made and read.
        make: Returns the tensors of one shard, by name. It must not depend on the other shards.
    """

    fingerprint: str
    names: tuple[str, ...]
    make: Callable[[str], dict[str, torch.Tensor]]

    def __post_init__(self) -> None:
        """Refuse what cannot become files. Raises ValueError."""
        if not self.fingerprint:
            raise ValueError("Shards.fingerprint is empty; allowed: any text that identifies the inputs.")
        if not self.names:
            raise ValueError("Shards.names is empty; allowed: one name or more.")
        doubled = sorted({name for name in self.names if self.names.count(name) > 1})
        if doubled:
            raise ValueError(f"Shards.names holds {doubled} more than once; allowed: each name once.")
        for name in self.names:
            _check_name(name)


@dataclass(frozen=True)
class LoadedShards:
    """A finished folder of shards; nothing is read before it is asked for.

    Attributes:
        folder: Where the files lie.
        names: The shards in the order in which they were declared.
        fingerprint: Of the run that made them.
    """

    folder: Path
    names: tuple[str, ...]
    fingerprint: str

    def __iter__(self) -> Iterator[str]:
        """Iterate over the shards' names."""
        return iter(self.names)

    def __len__(self) -> int:
        """Return the number of shards."""
        return len(self.names)

    def load(self, name: str) -> dict[str, torch.Tensor]:
        """Return one shard's tensors, memory-mapped.

        Raises: KeyError for an unknown name; DatasetError for a damaged file.
        """
        if name not in self.names:
            raise KeyError(f"{self.folder} holds no shard {name!r}; it holds {list(self.names)}.")
        return read_tensors(shard_path(self.folder, name))

    def concat(self, key: str) -> torch.Tensor:
        """Return the tensors of that key joined along their first dimension, in the order of `names`."""
        return torch.cat([read_tensor(shard_path(self.folder, name), key) for name in self.names])


def shard_path(folder: Path, name: str) -> Path:
    """Return the file of one shard."""
    return folder / f"{name}.safetensors"


def _check_name(name: str) -> None:
    if not name or name != Path(name).name or name.startswith((".", "_")):
        raise ValueError(
            f"Shard name {name!r} cannot be a file name; allowed: no slash, not starting with '.' or '_'."
        )
