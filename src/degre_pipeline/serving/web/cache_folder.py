"""The folder of fetched models and of the code that was compiled for them, which nobody else may write."""

import os
import shutil
import stat
import time
from pathlib import Path

from degre_pipeline.serving.model.prepare import TEMPORARY, TIMEOUT_SECONDS

ARRIVING = ".arriving-"
"""Beginning of the names of folders into which a model is being fetched."""


class CacheFolderError(ValueError):
    """A cache folder that is not there or not safe; the message says what is allowed."""


def cache_folder(setting: Path | None) -> Path:
    """Returns the folder of a setting, or the default; made if needed, and cleared of unfinished downloads.

    Raises: CacheFolderError: If no home folder is known, or if somebody else owns or may write the folder.
    """
    folder = setting or _default()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _check(folder)
    _clear(folder)
    return folder


def give_home(folder: Path) -> None:
    """Gives libraries that ask for a home folder one, where this user has none."""
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = str(folder)


def _default() -> Path:
    try:
        return Path.home() / ".cache" / "degre_pipeline" / "service"
    except RuntimeError:
        raise CacheFolderError(
            "this user has no home folder, so the cache has no place; allowed: --cache-folder FOLDER"
        ) from None


def _check(folder: Path) -> None:
    """Raises CacheFolderError unless the folder is this user's alone to write: code in it is executed."""
    found, user = folder.stat(), os.geteuid()
    mode = stat.S_IMODE(found.st_mode)
    if found.st_uid != user or mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise CacheFolderError(
            f"cache folder {folder} belongs to user {found.st_uid} with mode {mode:04o}; allowed: one of "
            f"user {user} that no other can write, such as a new folder in it: --cache-folder {folder}/own"
        )


def _clear(folder: Path) -> None:
    """Removes what killed downloads and preparations left, which is older than any of them may take."""
    for pattern in (f"{ARRIVING}*", f"*/*/{TEMPORARY}*"):
        for left in folder.glob(pattern):
            if time.time() - left.stat().st_mtime > TIMEOUT_SECONDS:
                shutil.rmtree(left, ignore_errors=True)
