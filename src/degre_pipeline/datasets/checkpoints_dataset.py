"""Catalog dataset for the checkpoints of trainings."""

from pathlib import Path
from typing import Any, Never

from kedro.io import AbstractDataset, DatasetError

from degre_pipeline.datasets.checkpoint_files import CheckpointFolder


class CheckpointsDataset(AbstractDataset[Never, CheckpointFolder]):
    """Loads as a handle to a folder from which interrupted trainings continue; it need not exist yet.

    A node cannot return it: a checkpoint is written while the node runs.
    """

    def __init__(self, path: str, metadata: dict[str, Any] | None = None) -> None:
        """Point at a folder.

        Args:
            path: The folder; it belongs to this dataset alone.
            metadata: Ignored here; for Kedro-Viz and other plugins.
        """
        self._folder = Path(path)
        self.metadata = metadata

    def load(self) -> CheckpointFolder:
        """Return the handle; nothing is read yet."""
        return CheckpointFolder(self._folder)

    def save(self, data: Never) -> None:
        """Refuse. Raises DatasetError."""
        raise DatasetError(f"{self._folder} is written by trainings while they run; no node can return it.")

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {"path": self._folder.as_posix()}
