"""Encodes checked requests as the index columns that models read."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from degre_pipeline.reranker.features import FeatureSpace, Indices
from degre_pipeline.reranker.schema import Field
from degre_pipeline.serving.model.request_schema import Request, plain_value


def encode_requests(space: FeatureSpace, requests: Sequence[Request]) -> tuple[Tensor, Tensor, Tensor]:
    """Encodes checked requests, padded to the largest number of candidates among them.

    Values that training did not show and missing values get index 0.

    Returns: Indices of user and context fields [b, columns] and of item and score fields [b, n, columns], and
        the mask [b, n].
    """
    counts = np.array([len(request.candidates) for request in requests])
    mask = np.arange(counts.max()) < counts[:, None]
    users_and_contexts = [{**request.user, **request.context} for request in requests]
    candidates = [candidate for request in requests for candidate in request.candidates]
    flat = _encoded(space, [field for field in space.fields if field.per_candidate], candidates)
    padded = np.zeros((*mask.shape, flat.shape[1]), dtype=np.int32)
    padded[mask] = flat
    static = _encoded(space, [field for field in space.fields if not field.per_candidate], users_and_contexts)
    return torch.from_numpy(static), torch.from_numpy(padded), torch.from_numpy(mask)


def _encoded(space: FeatureSpace, fields: Sequence[Field], rows: Sequence[Mapping[str, Any]]) -> Indices:
    """Returns the indices [rows, columns] of the fields' values."""
    empty = np.zeros((len(rows), 0), dtype=np.int32)
    encoded = [space.encode(field.name, _column(field, rows)) for field in fields]
    return np.concatenate([empty, *encoded], axis=1)


def _column(field: Field, rows: Sequence[Mapping[str, Any]]) -> NDArray[np.object_]:
    column = np.empty(len(rows), dtype=object)
    column[:] = [plain_value(field, row.get(field.name)) for row in rows]
    return column
