"""Writing a file so that a reader sees the old one or the new one, never half of one."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SUFFIX = ".partial"
_READABLE_BY_ALL = 0o644


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path in a folder beside `path`, which takes its place when the block ends well.

    The temporary file is flushed to the disk before the swap and removed if the block raises; the
    file that stood at `path` before is then untouched. It has a folder of its own because safetensors keeps
    another temporary file beside the one that it is told to write.

    Args:
        path: Where the finished file belongs. Missing parent folders are made.
    """
    folder = path.with_name(f".{path.name}.{os.getpid()}{_SUFFIX}")
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / path.name
    try:
        yield temporary
        _flush_to_disk(temporary)
        temporary.chmod(_READABLE_BY_ALL)  # safetensors makes its files readable by their owner only
        os.replace(temporary, path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_leftovers(folder: Path, name: str = "") -> None:
    """Remove what interrupted processes left of a file in a folder, or of all files there."""
    for leftover in folder.glob(f".{name}*{_SUFFIX}"):
        shutil.rmtree(leftover, ignore_errors=True)


def _flush_to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
