"""Catalog dataset for rows of figures in a JSON file that several runs share."""

import json
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset, DatasetError

from degre_pipeline.datasets.atomic import atomic_path

Rows = list[dict[str, Any]]


class RowsDataset(AbstractDataset[Rows, Rows]):
    """Loads and saves the rows of one value of a key, and leaves all other rows of the file as they are."""

    def __init__(self, filepath: str, key: str, value: str, metadata: dict[str, Any] | None = None) -> None:
        """Point at the rows.

        Args:
            filepath: The JSON file, a list of objects.
            key: Column whose value tells the rows of different runs apart.
            value: The key's value in the rows of this dataset.
            metadata: Ignored here; for Kedro-Viz and other plugins.
        """
        self._filepath, self._key, self._value = Path(filepath), key, value
        self.metadata = metadata

    def load(self) -> Rows:
        """Return the rows of this value. Raises: DatasetError if the file is missing or holds no rows."""
        return [row for row in self._all() if row[self._key] == self._value]

    def save(self, data: Rows) -> None:
        """Put the rows in place of those of the same value, in one step.

        Raises: DatasetError if a row belongs to another value, or if the present file is damaged.
        """
        strangers = sorted({str(row.get(self._key)) for row in data} - {self._value})
        if strangers:
            raise DatasetError(f"rows have {self._key} {strangers}; allowed: {self._value!r} alone.")
        kept = [row for row in self._all() if row[self._key] != self._value] if self._exists() else []
        lines = ",\n".join(json.dumps(row, allow_nan=False) for row in [*kept, *data])
        with atomic_path(self._filepath) as path:
            path.write_text(f"[\n{lines}\n]\n", encoding="utf-8")

    def _all(self) -> Rows:
        try:
            rows: Rows = json.loads(self._filepath.read_text("utf-8"))
            if not all(self._key in row for row in rows):
                raise ValueError(f"a row has no {self._key!r}")
        except (OSError, ValueError, TypeError) as error:
            raise DatasetError(f"{self._filepath} holds no rows: {error}") from error
        return rows

    def _exists(self) -> bool:
        return self._filepath.is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath.as_posix(), self._key: self._value}
