"""The files of a registered model that a service reads, and the digests that tell whether they are whole.

All of them are data. The code that travels with the model for `mlflow models serve` is never run here.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PROGRAM, FEATURE_SPACE, EXAMPLE = "program.pt2", "feature_space.json", "example.json"
FILES = (PROGRAM, FEATURE_SPACE, EXAMPLE)
DIGESTS_TAG = "degre.sha256"
"""Tag of the logged model, which MLflow keeps in its database and not beside the files."""


def digests_of(folder: Path) -> str:
    """Returns the SHA-256 of every served file, as the text of the tag."""
    return json.dumps({name: _digest(folder / name) for name in FILES}, sort_keys=True)


def check_digests(folder: Path, tags: Mapping[str, str]) -> str:
    """Checks the files of a folder against a logged model's tags.

    Returns: A short name of this content.
    Raises: ValueError: Naming the first file that is missing or differs, or the tag that is missing.
    """
    if DIGESTS_TAG not in tags:
        raise ValueError(f"the logged model has no tag {DIGESTS_TAG!r}, so its files cannot be checked")
    expected: dict[str, Any] = json.loads(tags[DIGESTS_TAG])
    for name in FILES:
        found = _digest(folder / name) if (folder / name).is_file() else "missing"
        if found != expected.get(name):
            raise ValueError(f"{name} is {found}; allowed: {expected.get(name)}, as registered")
    return hashlib.sha256(tags[DIGESTS_TAG].encode()).hexdigest()[:16]


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
