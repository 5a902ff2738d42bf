"""Named tensors in one safetensors file: written atomically, read by memory map, never pickled."""

from collections.abc import Mapping
from pathlib import Path

import torch
from kedro.io import DatasetError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from .atomic import atomic_path


def write_tensors(
    path: Path, tensors: Mapping[str, torch.Tensor], header: Mapping[str, str] | None = None
) -> None:
    """Write tensors and a text header, replacing the file in one step.

    Args:
        path: Where the file belongs.
        tensors: Name to tensor, of any shape, on any device; may be empty.
        header: Text stored beside the tensors.
    Raises: TypeError if a value is not a tensor.
    """
    storable = _storable(tensors)
    # None, because an empty header beside no tensors makes safetensors write a file it cannot read.
    text = dict(header) if header else None
    with atomic_path(path) as temporary:
        save_file(storable, temporary, metadata=text)


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Return the file's tensors on the CPU, memory-mapped.

    Raises: DatasetError naming the file if it is missing, cut short or no safetensors file.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (SafetensorError, OSError) as error:
        raise _unreadable(path, error) from error


def read_tensor(path: Path, name: str) -> torch.Tensor:
    """Return one tensor of the file without reading the others.

    Raises: DatasetError naming the file if it is unreadable or holds no tensor of that name.
    """
    try:
        with safe_open(path, framework="pt") as file:
            names = list(file.keys())
            if name in names:
                tensor: torch.Tensor = file.get_tensor(name)
                return tensor
    except (SafetensorError, OSError) as error:
        raise _unreadable(path, error) from error
    raise DatasetError(f"{path} holds no tensor {name!r}; it holds {sorted(names)}.")


def read_header(path: Path) -> dict[str, str]:
    """Return the file's text header; opening the file also checks that it is as long as it says.

    Raises: DatasetError naming the file if it is missing, cut short or no safetensors file.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> DatasetError:
    if not path.exists():
        return DatasetError(f"{path} does not exist; run the pipeline that writes it.")
    size = path.stat().st_size
    return DatasetError(
        f"{path} ({size} bytes) is no whole safetensors file: {error}. Delete it and run its pipeline again."
    )


def _storable(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Detach, move to the CPU and give every tensor memory of its own: the format has no aliases."""
    storable: dict[str, torch.Tensor] = {}
    storages: set[int] = set()
    for name, tensor in tensors.items():
        if not isinstance(tensor, torch.Tensor):
            raise TypeError(f"{name!r} is a {type(tensor).__name__}; allowed: torch.Tensor.")
        plain = tensor.detach().cpu().contiguous()
        if plain.untyped_storage().data_ptr() in storages:
            plain = plain.clone()
        storages.add(plain.untyped_storage().data_ptr())
        storable[name] = plain
    return storable
