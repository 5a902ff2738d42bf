"""The files of a registered model that a service reads, and the digests that tell whether they are whole.

All of them are data. The code that travels with the model for `mlflow models serve` is never run here.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PROGRAM, FEATURE_SPACE, EXAMPLE = "program.pt2", "feature_space.json", "example.json"
RANKING_PROGRAM, RANKING_FEATURE_SPACE = "ranking_program.pt2", "ranking_feature_space.json"
FILES = (PROGRAM, FEATURE_SPACE, EXAMPLE)
RANKING_FILES = (RANKING_PROGRAM, RANKING_FEATURE_SPACE)
"""A model that scores candidates itself has both, any other model neither."""
MOST_BYTES = {
    PROGRAM: 4 * 2**30,
    FEATURE_SPACE: 128 * 2**20,
    EXAMPLE: 16 * 2**20,
    RANKING_PROGRAM: 4 * 2**30,
    RANKING_FEATURE_SPACE: 128 * 2**20,
}
"""Largest file of each name: weights, some seven million values of vocabularies, a few requests.

JSON takes up to 25 times as much memory as it has bytes.
"""
DIGESTS_TAG = "degre.sha256"
"""Tag of the logged model, which MLflow keeps in its database and not beside the files."""


def digests_of(folder: Path) -> str:
    """Returns the SHA-256 of every served file, as the text of the tag.

    Raises: ValueError: If one is too large to be served.
    """
    names = [*FILES, *(name for name in RANKING_FILES if (folder / name).is_file())]
    for name in names:
        check_size(name, (folder / name).stat().st_size)
    return json.dumps({name: _digest(folder / name) for name in names}, sort_keys=True)


def files_of(tags: Mapping[str, str]) -> list[str]:
    """Returns the names of a logged model's served files.

    Raises: ValueError: If its tag is missing or names other files than a model has.
    """
    names = set(_expected(tags))
    if names not in (set(FILES), {*FILES, *RANKING_FILES}):
        raise ValueError(
            f"tag {DIGESTS_TAG!r} names the files {sorted(names)}; allowed: {list(FILES)}, with or without "
            f"{list(RANKING_FILES)}"
        )
    return sorted(names)


def check_digests(folder: Path, tags: Mapping[str, str]) -> str:
    """Checks the files of a folder against a logged model's tags.

    Returns: A short name of this content.
    Raises: ValueError: Naming the first file that is missing or differs, or the tag that is missing.
    """
    for name in files_of(tags):
        is_there = (folder / name).is_file()
        check_size(name, (folder / name).stat().st_size if is_there else 0)
        found = _digest(folder / name) if is_there else "missing"
        if found != _expected(tags)[name]:
            raise ValueError(f"{name} is {found}; allowed: {_expected(tags)[name]}, as registered")
    return hashlib.sha256(tags[DIGESTS_TAG].encode()).hexdigest()[:16]


def check_size(name: str, size: int) -> None:
    """Raises ValueError for a served file of so many bytes if that is more than is read."""
    if size > MOST_BYTES[name]:
        raise ValueError(f"{name} has {size:,} bytes; allowed: {MOST_BYTES[name]:,}")


def _expected(tags: Mapping[str, str]) -> dict[str, Any]:
    if DIGESTS_TAG not in tags:
        raise ValueError(f"the logged model has no tag {DIGESTS_TAG!r}, so its files cannot be checked")
    expected: dict[str, Any] = json.loads(tags[DIGESTS_TAG])
    return expected


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
