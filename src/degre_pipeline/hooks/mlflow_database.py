"""The project's MLflow database: made once and whole, however many runs begin at the same time."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mlflow

from degre_pipeline.datasets.atomic import atomic_path, remove_leftovers
from degre_pipeline.locations import sqlite_address


@contextmanager
def database_at_hand(file: Path) -> Iterator[None]:
    """Make the database file if it is not there, and let no other run set MLflow up before the block ends.

    MLflow makes its tables in many steps; a process that is killed between two of them, or two processes that
    take them at once, would leave a file that no MLflow can use. So it is made beside its place, and moved.

    Args:
        file: The SQLite file; its folder is made, too.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with _alone_in(file.parent):
        if not file.exists():
            remove_leftovers(file.parent, file.name)
            with atomic_path(file) as unfinished:
                mlflow.MlflowClient(sqlite_address(unfinished)).search_experiments(max_results=1)
        yield


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Lock the folder during the block; a killed process keeps no lock."""
    try:
        import fcntl
    except ImportError:  # Windows has no such locks
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
