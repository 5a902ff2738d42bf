"""Named tensors in one safetensors file: written atomically, checked when read, never pickled."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from kedro.io import DatasetError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from degre_pipeline.datasets.atomic import atomic_path

_CONTENT = "content"
"""The one entry of a file's own header: safetensors writes several in no fixed order."""


@dataclass(frozen=True)
class _Content:
    """What a file says of itself: the text header, and the SHA-256 of every tensor."""

    header: dict[str, str]
    sha256: dict[str, str]


def write_tensors(
    path: Path, tensors: Mapping[str, torch.Tensor], header: Mapping[str, str] | None = None
) -> None:
    """Write tensors, a text header and the hashes of both, replacing the file in one step.

    Args:
        path: Where the file belongs.
        tensors: Name to tensor, of any shape, on any device; may be empty.
        header: Text stored beside the tensors.
    Raises: TypeError if a value is not a tensor.
    """
    storable = _storable(tensors)
    hashes = {name: _sha256(name, tensor) for name, tensor in sorted(storable.items())}
    content = json.dumps([dict(header or {}), hashes])
    with atomic_path(path) as temporary:
        save_file(storable, temporary, metadata={_CONTENT: f"{_digest(content)} {content}"})


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Return the file's tensors on the CPU, memory-mapped.

    Raises: DatasetError naming the file if it is missing, cut short, no safetensors file, or if its content
        is not what was written.
    """
    with _opened(path) as (file, content):
        return {name: _checked(path, file, name, content) for name in content.sha256}


def read_tensor(path: Path, name: str) -> torch.Tensor:
    """Return one tensor of the file without reading the others.

    Raises: DatasetError naming the file if it is unreadable or damaged, or holds no tensor of that name.
    """
    with _opened(path) as (file, content):
        if name in content.sha256:
            return _checked(path, file, name, content)
    raise DatasetError(f"{path} holds no tensor {name!r}; it holds {sorted(content.sha256)}.")


def read_header(path: Path) -> dict[str, str]:
    """Return the file's text header; opening the file also checks that it is as long as it says.

    Raises: DatasetError naming the file if it is missing, cut short, no safetensors file, or if the header is
        not what was written.
    """
    with _opened(path) as (_, content):
        return content.header


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, _Content]]:
    try:
        with safe_open(path, framework="pt") as file:
            yield file, _content(path, file)
    except SafetensorError as error:
        # Without its cause, which would decide the exit code: another try cannot mend a damaged file.
        raise _unreadable(path, error) from None
    except OSError as error:
        raise _unreadable(path, error) from error


def _content(path: Path, file: Any) -> _Content:
    digest, _, text = (file.metadata() or {}).get(_CONTENT, "").partition(" ")
    if not text or digest != _digest(text):
        raise _damaged(path, "its header")
    content = _Content(*json.loads(text))
    if set(content.sha256) != set(file.keys()):
        raise _damaged(path, "its list of tensors")
    return content


def _checked(path: Path, file: Any, name: str, content: _Content) -> torch.Tensor:
    tensor: torch.Tensor = file.get_tensor(name)
    if _sha256(name, tensor) != content.sha256[name]:
        raise _damaged(path, repr(name))
    return tensor


def _sha256(name: str, tensor: torch.Tensor) -> str:
    # Imported here so that reading the catalog does not load the science.
    from degre_pipeline.reranker.fingerprints import fingerprint

    return fingerprint({name: tensor})


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _damaged(path: Path, part: str) -> DatasetError:
    return DatasetError(
        f"{path}: {part} is not what was written; the file is damaged, or of an earlier version of this "
        "project. Delete it and run its pipeline again."
    )


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
