"""A hash beside a file whose format has no room for one, so that a changed bit is noticed on reading."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kedro.io import DatasetError

from degre_pipeline.datasets.atomic import FileBeside, atomic_path


def seal_of(path: Path) -> Path:
    """Return where the hash of a file is kept."""
    return path.with_name(f".{path.name}.sha256")


def check_seal(path: Path) -> None:
    """Raise DatasetError if a file is missing or has changed; one without a seal is let through."""
    if not path.is_file():
        raise DatasetError(f"{path} does not exist; run the pipeline that writes it.")
    try:
        known = seal_of(path).read_bytes().split()
    except FileNotFoundError:
        return
    if _sha256(path) not in known:
        raise DatasetError(
            f"{path} is not what was written; it is damaged, or was changed by hand. Delete it and run its "
            f"pipeline again, or delete {seal_of(path).name} beside it to have it read as it is."
        )


def put_sealed(beside: FileBeside) -> None:
    """Let a finished file take its place, with its hash beside it.

    The hashes of the old and of the new file both count while one replaces the other, so that an interruption
    leaves a known file at any moment.
    """
    seal, new = seal_of(beside.path), _sha256(beside.temporary)
    earlier = seal.read_bytes().split() if seal.exists() else []
    if earlier == [new]:
        beside.put_in_place()
        return
    _write(seal, [*earlier, new])
    beside.put_in_place()
    _write(seal, [new])


@contextmanager
def sealed_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path, which takes the place of `path` with its hash when the block ends well."""
    beside = FileBeside(path)
    try:
        yield beside.temporary
        beside.finish()
        put_sealed(beside)
    finally:
        beside.drop()


def _write(seal: Path, hashes: list[bytes]) -> None:
    with atomic_path(seal) as temporary:
        temporary.write_bytes(b"\n".join(hashes) + b"\n")


def _sha256(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest().encode()
