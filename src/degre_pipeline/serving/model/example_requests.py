"""Real requests with raw values, put together from the request-log tables."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pandas as pd

from degre_pipeline.reranker.features import FeatureSpace
from degre_pipeline.reranker.schema import TEST, Field
from degre_pipeline.serving.model.request_schema import ITEM_ID, Request, plain
from degre_pipeline.sources.feature_tables import FeatureTables

Row = dict[str, Any]
COMPARED = 32
"""Requests on which the served model is compared with the trained generator."""


def example_requests(lists: pd.DataFrame, tables: FeatureTables, space: FeatureSpace) -> list[Request]:
    """Returns the requests of some lists as a client would send them.

    Args:
        lists: The wanted requests, with user_id.
        tables: Raw values of requests, users, items and scored candidates.
        space: The declared fields.
    Returns: One request for each list, in their order; a value that a table lacks is None.
    """
    groups = {name: [field for field in space.fields if field.group == name] for name in ("user", "context")}
    user_rows = _rows(tables.users, "user_id", lists["user_id"], groups["user"])
    contexts = _rows(tables.requests, "request_id", lists["request_id"], groups["context"])
    handed = _candidates_by_request(lists["request_id"], tables, space)
    return [
        Request(
            candidates=handed[request_id],
            user=user_rows.get(user_id, dict.fromkeys(field.name for field in groups["user"])),
            context=contexts[request_id],
            request_id=plain(request_id),
        )
        for request_id, user_id in zip(lists["request_id"], lists["user_id"], strict=True)
    ]


def _candidates_by_request(
    wanted: pd.Series, tables: FeatureTables, space: FeatureSpace
) -> Mapping[Hashable, list[Row]]:
    scores = [field for field in space.fields if field.group == "score"]
    features = [field for field in space.fields if field.group == "item"]
    candidates = tables.candidates
    handed = candidates[candidates["request_id"].isin(wanted)].sort_values(["request_id", "candidate_index"])
    item_rows = _rows(tables.items, ITEM_ID, handed[ITEM_ID], features)
    unknown = dict.fromkeys(field.name for field in features)
    rows: dict[Hashable, list[Row]] = {request_id: [] for request_id in wanted}
    for request_id, row in zip(handed["request_id"], handed.to_dict("records"), strict=True):
        item = {**item_rows.get(row[ITEM_ID], unknown), ITEM_ID: plain(row[ITEM_ID])}
        rows[request_id].append({**item, **{field.name: _value(row[field.name]) for field in scores}})
    return rows


def _rows(table: pd.DataFrame, key: str, wanted: pd.Series, fields: Sequence[Field]) -> dict[Hashable, Row]:
    """Returns the fields of the wanted rows by key."""
    part = table[table[key].isin(wanted)]
    columns = {field.name: [_value(value) for value in part[field.name]] for field in fields}
    return {
        row_key: {name: values[place] for name, values in columns.items()}
        for place, row_key in enumerate(part[key])
    }


def _value(value: Any) -> Any:
    """Returns a cell as JSON can hold it: a missing one is None, and a type unknown to JSON becomes text."""
    if pd.isna(value):
        return None
    plain_cell = plain(value)
    return plain_cell if isinstance(plain_cell, str | int | float | bool) else str(plain_cell)


def lists_to_compare(lists: pd.DataFrame, most: int) -> pd.DataFrame:
    """Returns lists of test requests, or of any if there are none.

    Raises: ValueError: If there are fewer than the two that an input example needs.
    """
    test = lists[lists["split"] == TEST]
    chosen = (test if len(test) > 1 else lists).head(most)
    if len(chosen) < 2:
        raise ValueError(f"there are {len(chosen)} lists; allowed: 2 or more, for the model's input example")
    return chosen
