"""Catalog dataset for encoded requests."""

import torch
from kedro.io import DatasetError

from degre_pipeline.datasets.one_file import OneFileDataset
from degre_pipeline.datasets.tensor_files import read_tensors, write_tensors
from degre_pipeline.reranker.requests import Requests

_ENCODING = "feature_space"
"""Name of the stored tensor that tells which feature space encoded the requests."""


class RequestsDataset(OneFileDataset[Requests]):
    """Loads and saves `Requests` as one safetensors file, with the identity of their feature space."""

    def load(self) -> Requests:
        """Return the requests. Raises DatasetError if the file is missing, damaged or holds no requests."""
        tensors = read_tensors(self._filepath)
        named = tensors.pop(_ENCODING, None)
        try:
            return Requests.from_tensors(tensors, "" if named is None else bytes(named.tolist()).hex())
        except ValueError as error:
            raise DatasetError(f"{self._filepath}: {error}") from error

    def save(self, data: Requests) -> None:
        """Replace the file in one step."""
        encoding = torch.tensor(list(bytes.fromhex(data.encoding)), dtype=torch.uint8)
        named = {_ENCODING: encoding} if data.encoding else {}
        write_tensors(self._filepath, {**data.to_tensors(), **named})
