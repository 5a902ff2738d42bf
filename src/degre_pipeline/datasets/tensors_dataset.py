"""Catalog dataset for a flat dict of tensors."""

from typing import Any

import torch

from degre_pipeline.datasets.one_file import OneFileDataset
from degre_pipeline.datasets.tensor_files import read_tensors, write_tensors


class TensorsDataset(OneFileDataset[dict[str, torch.Tensor]]):
    """Loads and saves `dict[str, Tensor]` as one safetensors file.

    A save replaces the file in one step, so a run that dies leaves the previous file whole. A load maps
    the file into memory: pages are read when touched. An empty dict is a legal value.
    """

    def __init__(
        self,
        filepath: str,
        header: dict[str, str] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Point at a file.

        Args:
            filepath: The safetensors file.
            header: Text stored inside the file, beside the tensors.
            metadata: Ignored here; for Kedro-Viz and other plugins.
        """
        super().__init__(filepath, metadata)
        self._header = header

    def load(self) -> dict[str, torch.Tensor]:
        """Return the tensors by name. Raises DatasetError if the file is missing or damaged."""
        return read_tensors(self._filepath)

    def save(self, data: dict[str, torch.Tensor]) -> None:
        """Write the tensors. Raises DatasetError if a value is not a tensor."""
        write_tensors(self._filepath, data, self._header)
