"""Moves of aliases take turns: each looks, moves and writes before the next one looks."""

import fcntl
import hashlib
import logging
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlflow import MlflowClient

from degre_pipeline.locations import database_file

logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 30.0
_LOOKS_EVERY_SECONDS = 0.05


class _Held(threading.local):
    """The locks that this thread has."""

    def __init__(self) -> None:
        self.files: set[Path] = set()


_held = _Held()


@contextmanager
def in_turn(client: MlflowClient) -> Iterator[None]:
    """Keeps others of this machine from moving aliases meanwhile; may be nested.

    Whoever waits longer than `PATIENCE_SECONDS` goes ahead with a warning: a process that hangs must not
    block a way back. Machines that share an MLflow server do not see this lock; `aliases.point` looks again
    after a move.
    """
    file = _lock_file(str(client.tracking_uri))
    if file in _held.files:
        yield
        return
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    _held.files.add(file)
    try:
        if not _locked(descriptor):
            logger.warning("another process has moved aliases for %g seconds (%s)", PATIENCE_SECONDS, file)
        yield
    finally:
        _held.files.discard(file)
        os.close(descriptor)


def _lock_file(tracking_uri: str) -> Path:
    """Returns the lock's file: beside an SQLite database, and otherwise the user's own for this MLflow."""
    database = database_file(tracking_uri)
    if database is not None:
        return database.with_name(f"{database.name}.moves")
    named = hashlib.sha256(tracking_uri.encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir(), f"degre-{os.getuid()}-{named}.moves")


def _locked(descriptor: int) -> bool:
    given_up = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > given_up:
                return False
            time.sleep(_LOOKS_EVERY_SECONDS)
        else:
            return True
