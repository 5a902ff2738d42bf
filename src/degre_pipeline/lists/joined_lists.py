"""Joins the request-log tables to one list for each request."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray


def join_lists(
    requests: pd.DataFrame, candidates: pd.DataFrame, exposures: pd.DataFrame, splits: pd.DataFrame
) -> pd.DataFrame:
    """Returns one row for each request that was shown a list, in the order of request ids.

    Returns: request_id, user_id, split, role and the arrays candidate_item_ids, candidate_scores (NaN where
        the log has none), exposed_indices, clicks.
    Raises: ValueError: If a request lacks candidates or exposures, or shows an item that was no candidate.
    """
    heads = requests[["request_id", "user_id"]].merge(splits, on="request_id", validate="one_to_one")
    heads = heads.sort_values("request_id").reset_index(drop=True)
    handed = candidates.sort_values(["request_id", "candidate_index"])
    shown = exposures.sort_values(["request_id", "slot"])
    stray = shown[shown["candidate_index"].isna()]
    if len(stray):
        raise ValueError(
            f"{len(stray)} exposures show an item that was no candidate, the first: request "
            f"{stray['request_id'].iloc[0]}, slot {stray['slot'].iloc[0]}; allowed: candidates of the request"
        )
    ids = heads["request_id"].to_numpy()
    return heads.assign(
        candidate_item_ids=_by_request("candidates", handed, ids, "item_id"),
        candidate_scores=_by_request("candidates", handed, ids, "ranking_score"),
        exposed_indices=_by_request(
            "exposures", shown.astype({"candidate_index": np.int64}), ids, "candidate_index"
        ),
        clicks=_by_request("exposures", shown, ids, "click"),
    )


def with_scores(lists: pd.DataFrame, candidates: pd.DataFrame) -> pd.DataFrame:
    """Returns joined lists with the scores that their candidates have in a table."""
    handed = candidates.sort_values(["request_id", "candidate_index"])
    ids = lists["request_id"].to_numpy()
    return lists.assign(candidate_scores=_by_request("candidates", handed, ids, "ranking_score"))


def _by_request(table: str, rows: pd.DataFrame, ids: NDArray[np.int64], column: str) -> pd.Series:
    """Returns the values of each request as one array, in the order of ids; rows are sorted by request."""
    owners, starts = np.unique(rows["request_id"].to_numpy(), return_index=True)
    for lacking, of, without in (
        (table, "requests", np.setdiff1d(ids, owners)),
        ("requests", table, np.setdiff1d(owners, ids)),
    ):
        if len(without):
            raise ValueError(
                f"request {without[0]} of table {of} has no row in table {lacking} "
                f"({len(without)} such requests); "
                "allowed: every request once in requests and at least once in candidates and exposures"
            )
    return pd.Series(np.split(rows[column].to_numpy(), starts[1:]), dtype=object)
