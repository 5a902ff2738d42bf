"""A small good table of each kind, and a way to spoil one."""

import numpy as np
import pandas as pd

NAN, INF = float("nan"), float("inf")


def requests():
    return pd.DataFrame(
        {
            "request_id": [1, 2],
            "user_id": ["u1", "u2"],
            "requested_at": pd.to_datetime(["2026-01-01", "2026-01-02"]),
        }
    )


def candidates():
    return pd.DataFrame(
        {
            "request_id": [1, 1, 1, 2, 2],
            "candidate_index": [0, 1, 2, 0, 1],
            "item_id": [10, 11, 12, 10, 13],
            "ranking_score": [0.5, 0.1, 0.3, -1.0, 2.0],
            "ranking_rank": pd.array([1, 3, 2, 2, 1], dtype="Int64"),
        }
    )


def exposures():
    return pd.DataFrame(
        {
            "request_id": [1, 1, 2],
            "slot": [1, 2, 1],
            "item_id": [12, 10, 13],
            "candidate_index": pd.array([2, 0, 1], dtype="Int64"),
            "click": [0, 1, 0],
            "conversion": [0.0, 1.0, NAN],
            "price": [9.5, 0.0, NAN],
        }
    )


def users():
    return pd.DataFrame({"user_id": ["u1", "u2"], "age": [30, 40]})


def items():
    return pd.DataFrame({"item_id": [10, 11, 12], "tags": ["a|b", "", "a"]})


def lists():
    return pd.DataFrame(
        {
            "request_id": [1, 2],
            "user_id": ["u1", "u2"],
            "split": ["train", "test"],
            "role": ["mining", "external"],
            "candidate_item_ids": [[10, 11, 12], np.array([10, 13])],
            "candidate_scores": [[0.5, 0.1, 0.3], np.array([-1.0, 2.0])],
            "exposed_indices": [[2, 0], [1]],
            "clicks": [[0, 1], [0]],
        }
    )


TABLES = {table.__name__: table for table in (requests, candidates, exposures, users, items, lists)}


def changed(frame, column, row, value):
    """The table with one value changed."""
    values = frame[column].tolist()
    values[row] = value
    kind = frame[column].dtype if value is not None and not isinstance(value, list) else None
    return frame.assign(**{column: pd.Series(values, index=frame.index, dtype=kind)})
