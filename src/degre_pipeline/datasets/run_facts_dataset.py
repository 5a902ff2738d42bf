"""Catalog dataset of the run's command, time, data and code, which every page names."""

from pathlib import Path
from typing import Any, NoReturn

from kedro.io import AbstractDataset, DatasetError

from degre_pipeline.run_facts import RunFacts, facts_now


class RunFactsDataset(AbstractDataset[None, RunFacts]):
    """Gives a node the facts of its run; there is no file, and nothing can be saved."""

    def __init__(self, data: str, project: str = ".", metadata: dict[str, Any] | None = None) -> None:
        """Name the data.

        Args:
            data: Its name.
            project: Folder of the code.
            metadata: Ignored here; for Kedro-Viz and other plugins.
        """
        self._data, self._project = data, Path(project)
        self.metadata = metadata

    def load(self) -> RunFacts:
        """Return the facts of the run."""
        return facts_now(self._data, self._project)

    def save(self, data: None) -> NoReturn:
        """Raise DatasetError: no node can change the facts of its run."""
        raise DatasetError("facts of a run are read, never saved")

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {"data": self._data}
