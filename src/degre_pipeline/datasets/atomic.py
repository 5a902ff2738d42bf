"""Writes a file so that a reader sees the old one or the new one, never half of one."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SUFFIX = ".partial"
_READABLE_BY_ALL = 0o644


class FileBeside:
    """A file that is written beside the place where it belongs, and takes that place in one step.

    Attributes:
        path: Where the finished file belongs.
        temporary: Where it is written. It has a folder of its own, because safetensors keeps another
            temporary file beside the one that it is told to write.
    """

    def __init__(self, path: Path) -> None:
        """Make the folder for the file, and missing folders above it."""
        self.path = path
        self._folder = path.with_name(f".{path.name}.{os.getpid()}{_SUFFIX}")
        self._folder.mkdir(parents=True, exist_ok=True)
        self.temporary = self._folder / path.name

    def finish(self) -> None:
        """Flush the written file to the disk, so that nothing that may fail is left but the renaming."""
        _flush_to_disk(self.temporary)
        self.temporary.chmod(_READABLE_BY_ALL)  # safetensors makes its files readable by their owner only

    def put_in_place(self) -> None:
        """Let the file take the place of the one that was there before."""
        os.replace(self.temporary, self.path)
        self.drop()

    def drop(self) -> None:
        """Remove the temporary file and its folder, if they still exist."""
        shutil.rmtree(self._folder, ignore_errors=True)


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path in a folder beside `path`, which takes its place when the block ends well.

    The temporary file is flushed to the disk before the swap and removed if the block raises; the
    file that stood at `path` before is then untouched.

    Args:
        path: Where the finished file belongs. Missing parent folders are made.
    """
    beside = FileBeside(path)
    try:
        yield beside.temporary
        beside.finish()
        beside.put_in_place()
    finally:
        beside.drop()


def remove_leftovers(folder: Path, name: str = "") -> None:
    """Remove temporary files that interrupted processes left in a folder, of one file or of all."""
    for leftover in folder.glob(f".{name}*{_SUFFIX}"):
        shutil.rmtree(leftover, ignore_errors=True)


def _flush_to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
