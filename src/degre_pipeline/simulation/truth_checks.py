"""Checks of a click truth's arrays and of the lists it is asked about."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_CANDIDATES = 62
"""A prefix is held as one bit per candidate in a signed 64-bit integer."""


def check_rows(
    request_id: NDArray[np.integer[Any]],
    stand_alone_logits: NDArray[np.floating[Any]],
    categories: NDArray[np.integer[Any]],
) -> None:
    """Check that ids [r], logits [r, n] and categories [r, n] belong together.

    Raises: ValueError naming what disagrees.
    """
    shape = categories.shape
    if stand_alone_logits.shape != shape or len(shape) != 2 or request_id.shape != shape[:1]:
        raise ValueError(
            f"request_id {request_id.shape}, stand_alone_logits {stand_alone_logits.shape} and "
            f"categories {shape} disagree; allowed are [r], [r, n] and [r, n]"
        )
    if not 1 <= shape[1] <= MAX_CANDIDATES:
        raise ValueError(
            f"categories hold {shape[1]} candidates a request; allowed are 1 to {MAX_CANDIDATES}"
        )
    if len(np.unique(request_id)) != len(request_id):
        raise ValueError("request_id holds an id twice; allowed are unique ids")
    if np.isnan(stand_alone_logits).any() or not np.array_equal(
        np.isneginf(stand_alone_logits), categories < 0
    ):
        raise ValueError("stand_alone_logits must be numbers, minus infinity exactly where categories are -1")


def check_known_categories(name: str, values: NDArray[np.integer[Any]], categories: int) -> None:
    """Check that values are category numbers or -1.

    Raises: ValueError naming the field and its range.
    """
    if values.size and not (values.min() >= -1 and values.max() < categories):
        raise ValueError(f"{name} holds {values.min()} to {values.max()}; allowed are -1 to {categories - 1}")


def check_sequences(sequences: NDArray[np.integer[Any]], requests: int, candidates: int) -> None:
    """Check shape, index range and gaps of candidate indices [r, s, t].

    Raises: ValueError naming what is wrong.
    """
    if sequences.ndim != 3 or len(sequences) != requests or sequences.shape[2] > candidates:
        raise ValueError(
            f"sequences have shape {sequences.shape}; allowed is ({requests}, lists, 1 to {candidates})"
        )
    if sequences.size and not (sequences.min() >= -1 and sequences.max() < candidates):
        raise ValueError(
            f"sequences hold indices {sequences.min()} to {sequences.max()}; "
            f"allowed are -1 to {candidates - 1}"
        )
    if ((sequences[:, :, 1:] >= 0) & (sequences[:, :, :-1] < 0)).any():
        raise ValueError("sequences hold an empty slot (-1) before a filled one; allowed only at the end")
