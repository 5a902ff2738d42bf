"""The visits of the experiment: who comes, in which arm, and what ranking hands over."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from degre_pipeline.reranker.features import FeatureSpace
from degre_pipeline.serving.model.example_requests import example_requests
from degre_pipeline.serving.model.request_schema import Request
from degre_pipeline.simulation.online_experiment import ExperimentConfig, arm_of
from degre_pipeline.sources.request_log import RequestLog

Indices = NDArray[np.int64]

_REQUESTS_PER_PART = 2000


def visits_of(requests: pd.DataFrame, users: pd.DataFrame, config: ExperimentConfig) -> pd.DataFrame:
    """Returns request_id, user_id, client, segment and arm of every request, in their order.

    Args:
        requests: With user_id and client.
        users: With segment.
        config: Of the split.
    """
    segments = users.set_index("user_id")["segment"]
    arms = {user: arm_of(user, config.salt) for user in requests["user_id"].unique()}
    return pd.DataFrame(
        {
            "request_id": requests["request_id"],
            "user_id": requests["user_id"],
            "client": requests["client"].astype(str),
            "segment": requests["user_id"].map(segments).astype(str),
            "arm": requests["user_id"].map(arms),
        }
    )


def ranking_order(candidates: pd.DataFrame, request_ids: pd.Series) -> Indices:
    """Returns the candidate indices of requests by descending ranking score, [r, n].

    Args:
        candidates: With request_id, candidate_index and ranking_rank; equally many of every request.
        request_ids: The wanted requests.
    """
    return _by_request(candidates, request_ids, "candidate_index", order="ranking_rank")


def items_of(candidates: pd.DataFrame, request_ids: pd.Series) -> Indices:
    """Returns the item ids of requests' candidates, [r, n]; arguments as of `ranking_order`, and item_id."""
    return _by_request(candidates, request_ids, "item_id", order="candidate_index")


def chosen(places: pd.Series, order: Indices, list_length: int) -> Indices:
    """Returns the candidate indices of shown lists, [r, t]; -1 for empty slots, at the end.

    Args:
        places: Of the shown items in the ranking order, a sequence a request; those beyond t are not shown.
        order: Candidate indices in the ranking order, [r, n].
        list_length: Slots of a page, t.
    """
    slots = np.full((len(order), list_length), -1, dtype=np.int64)
    for row, shown_places in enumerate(places):
        shown = list(shown_places)[:list_length]
        slots[row, : len(shown)] = order[row, shown]
    return slots


def _by_request(candidates: pd.DataFrame, request_ids: pd.Series, column: str, *, order: str) -> Indices:
    ordered = candidates.sort_values(["request_id", order])
    known = np.unique(ordered["request_id"].to_numpy())
    values: Indices = ordered[column].to_numpy(dtype=np.int64).reshape(len(known), -1)
    return values[np.searchsorted(known, request_ids.to_numpy())]


def handed_over(visits: pd.DataFrame, traffic: RequestLog, space: FeatureSpace) -> Iterator[Request]:
    """Yields the request of every visit as the shop would send it, its candidates in the ranking order."""
    tables = traffic.feature_tables()
    for start in range(0, len(visits), _REQUESTS_PER_PART):
        part = visits.iloc[start : start + _REQUESTS_PER_PART]
        handed = tables.candidates[tables.candidates["request_id"].isin(part["request_id"])]
        in_order = handed.assign(candidate_index=handed["ranking_rank"])
        yield from example_requests(part, replace(tables, candidates=in_order), space)
