"""Catalog dataset for a table in one Parquet file."""

from pathlib import Path
from typing import Any

import pandas as pd
from kedro.io import AbstractDataset, DatasetError

from degre_pipeline.datasets.atomic import FileBeside
from degre_pipeline.datasets.seals import check_seal, put_sealed


class TableDataset(AbstractDataset[pd.DataFrame, pd.DataFrame]):
    """Loads and saves a DataFrame as one Parquet file, which a save replaces in one step.

    Its hash lies beside it, so that a bit that changes on the disk ends the run that reads it; every page has
    a checksum, too, which stays with a file that is moved.

    Tables that belong together can be held back: each is then written beside its file, and takes its place
    when all of them have been written. `TablesTogetherHook` does so for the tables that one node returns.
    """

    def __init__(self, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        """Point at a file.

        Args:
            filepath: The Parquet file.
            metadata: Ignored here; for Kedro-Viz and other plugins.
        """
        self._filepath = Path(filepath)
        self._is_held_back = False
        self._written: FileBeside | None = None
        self.metadata = metadata

    def load(self) -> pd.DataFrame:
        """Return the table. Raises: DatasetError if there is no file, or if it is damaged."""
        check_seal(self._filepath)
        try:
            return pd.read_parquet(self._filepath, page_checksum_verification=True)
        except MemoryError:
            raise
        except Exception as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # the system could not read the file; a later try may succeed
            # Without its cause, which would decide the exit code: another try cannot mend a damaged file.
            raise DatasetError(
                f"{self._filepath} is damaged: {error}. Delete it and run its pipeline again."
            ) from None

    def save(self, data: pd.DataFrame) -> None:
        """Write the table; the file of an earlier save stays as it was if that fails.

        Raises: ValueError naming a column that no table can hold.
        """
        beside = FileBeside(self._filepath)
        try:
            data.to_parquet(beside.temporary, write_page_checksum=True)
            beside.finish()
        except BaseException:
            beside.drop()
            raise
        self._written = beside
        if not self._is_held_back:
            self.put_in_place()

    def hold_back(self) -> None:
        """Let the next saves write beside the file only, until `put_in_place` or `drop`."""
        self._is_held_back = True

    def put_in_place(self) -> None:
        """Let what was written take the place of the file."""
        if self._written is not None:
            put_sealed(self._written)
        self._forget()

    def drop(self) -> None:
        """Remove what was written and held back."""
        if self._written is not None:
            self._written.drop()
        self._forget()

    def _forget(self) -> None:
        self._written, self._is_held_back = None, False

    def _exists(self) -> bool:
        return self._filepath.is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath.as_posix()}
