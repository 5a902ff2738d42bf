"""What catalog datasets of one file have in common."""

from pathlib import Path
from typing import Any, Generic, TypeVar

from kedro.io import AbstractDataset

Content = TypeVar("Content")


class OneFileDataset(AbstractDataset[Content, Content], Generic[Content]):
    """A dataset that is one file on the disk."""

    def __init__(self, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        """Point at a file.

        Args:
            filepath: The file.
            metadata: Ignored here; for Kedro-Viz and other plugins.
        """
        self._filepath = Path(filepath)
        self.metadata = metadata

    def _exists(self) -> bool:
        return self._filepath.is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath.as_posix()}
