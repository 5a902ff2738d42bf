"""The test requests on which versions are compared, identified by a hash of their content."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from degre_pipeline.release.gate.gate_config import GateConfig
from degre_pipeline.reranker.schema import TEST
from degre_pipeline.sources.feature_tables import FeatureTables
from degre_pipeline.sources.splits import first_and_last_day


def draw_slice(lists: pd.DataFrame, tables: FeatureTables, config: GateConfig) -> dict[str, Any]:
    """Returns request_ids, sha256, first_day and last_day of test requests drawn at random.

    Raises: ValueError: If there is no test request.
    """
    test = np.sort(lists.loc[lists["split"] == TEST, "request_id"].to_numpy())
    if not len(test):
        raise ValueError("no request has split 'test'; allowed: one or more, of days after the training")
    drawn = np.random.default_rng(config.seed).permutation(test)[: config.requests or len(test)]
    first_day, last_day = first_and_last_day(tables.requests, drawn)
    return {
        "request_ids": drawn.tolist(),
        "sha256": content_sha256(drawn.tolist(), lists, tables),
        "first_day": first_day,
        "last_day": last_day,
    }


def lists_of_slice(gate_slice: Mapping[str, Any], lists: pd.DataFrame, tables: FeatureTables) -> pd.DataFrame:
    """Returns the lists of the slice, in its order.

    Raises: ValueError: If the slice's content is no longer that which was hashed.
    """
    found = content_sha256(gate_slice["request_ids"], lists, tables)
    if found != gate_slice["sha256"]:
        raise ValueError(
            f"the slice has SHA-256 {found[:12]}…; allowed: {gate_slice['sha256'][:12]}…, as it was drawn. "
            "Draw it again: kedro run --pipeline=gate"
        )
    return in_order_of_slice(gate_slice, lists)


def in_order_of_slice(gate_slice: Mapping[str, Any], lists: pd.DataFrame) -> pd.DataFrame:
    """Returns the lists of the slice, in its order, whatever their content."""
    ordered: pd.DataFrame = lists.set_index("request_id").loc[gate_slice["request_ids"]].reset_index()
    return ordered


def content_sha256(ids: Sequence[int], lists: pd.DataFrame, tables: FeatureTables) -> str:
    """Returns the SHA-256 of all logged data of the requests, whichever of them a model reads.

    Args:
        ids: The requests.
        lists: With what was exposed and clicked.
        tables: Only the rows that the requests touch count.
    """
    slice_lists = lists[lists["request_id"].isin(ids)]
    handed = tables.candidates[tables.candidates["request_id"].isin(ids)]
    parts = {
        "requests": tables.requests[tables.requests["request_id"].isin(ids)],
        "candidates": handed,
        "users": tables.users[tables.users["user_id"].isin(slice_lists["user_id"])],
        "items": tables.items[tables.items["item_id"].isin(handed["item_id"])],
        "shown": slice_lists[["request_id", "exposed_indices"]].explode("exposed_indices"),
        "clicked": slice_lists[["request_id", "clicks"]].explode("clicks"),
    }
    digest = hashlib.sha256()
    for name, part in parts.items():
        keys = [key for key in ("request_id", "candidate_index", "user_id", "item_id") if key in part]
        ordered = part.sort_values(keys, kind="stable")[sorted(part.columns)]
        digest.update(f"{name}\n{ordered.to_csv(index=False)}".encode())
    return digest.hexdigest()


def users_by_request(chosen: pd.DataFrame, lists: pd.DataFrame, old_user_requests: int) -> pd.DataFrame:
    """Returns the number and the group of each request's user.

    Returns: request_id; user, a number that a request without a user has for itself; and users, `new` or
        `old` by the requests that training saw of the user.
    """
    seen = lists.loc[lists["split"] != TEST, "user_id"].value_counts()
    is_new = chosen["user_id"].map(seen).fillna(0) < old_user_requests
    number = pd.factorize(chosen["user_id"])[0]
    return pd.DataFrame(
        {
            "request_id": chosen["request_id"],
            "user": np.where(number < 0, len(chosen) + np.arange(len(chosen)), number),
            "users": np.where(is_new, "new", "old"),
        }
    )
