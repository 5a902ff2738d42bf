"""Catalog dataset for the tables of features, which lie in files of two pipelines."""

from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset

from degre_pipeline.datasets.table_dataset import TableDataset
from degre_pipeline.sources.feature_tables import FeatureTables

OF_THE_LOG = ("requests", "users", "items")


class FeatureTablesDataset(AbstractDataset[FeatureTables, FeatureTables]):
    """Loads four tables as one `FeatureTables`, and saves of them the candidates, which have been scored.

    The other three are read where the request log has them; whoever writes the log writes them.
    """

    def __init__(self, filepath: str, path: str, metadata: dict[str, Any] | None = None) -> None:
        """Point at the files.

        Args:
            filepath: The Parquet file of the scored candidates, the one that is written.
            path: Folder of the request log, with `requests.parquet`, `users.parquet` and `items.parquet`.
            metadata: Ignored here; for Kedro-Viz and other plugins.
        """
        self._files = {
            "candidates": Path(filepath),
            **{name: Path(path, f"{name}.parquet") for name in OF_THE_LOG},
        }
        self.metadata = metadata

    def load(self) -> FeatureTables:
        """Return the tables. Raises: DatasetError if one of them is missing or damaged."""
        return FeatureTables(**{name: self._table(name).load() for name in self._files})

    def save(self, data: FeatureTables) -> None:
        """Replace the file of the candidates in one step; that of an earlier save stays if that fails."""
        self._table("candidates").save(data.candidates)

    def why_missing(self) -> str:
        """Returns which of the files are not there."""
        return ", ".join(str(file) for file in self._files.values() if not file.is_file())

    def _table(self, name: str) -> TableDataset:
        return TableDataset(self._files[name].as_posix())

    def _exists(self) -> bool:
        return not self.why_missing()

    def _describe(self) -> dict[str, Any]:
        return {
            "filepath": self._files["candidates"].as_posix(),
            "log": self._files["requests"].parent.as_posix(),
        }
