"""Encodes lists and the features of their users, items and contexts as tensors."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from degre_pipeline.reranker.features import FeatureSpace, fit_feature_space
from degre_pipeline.reranker.requests import Requests
from degre_pipeline.reranker.schema import ROLES, SPLITS, Field
from degre_pipeline.sources.feature_tables import FeatureTables
from degre_pipeline.sources.field_kinds import TABLE_OF_GROUP, check_declared_form


def check_fields(fields: Sequence[Field], tables: FeatureTables) -> None:
    """Raises ValueError for the first field whose column its table lacks, or holds in another form."""
    for field in fields:
        table = TABLE_OF_GROUP[field.group]
        columns = getattr(tables, table).columns
        if field.name not in columns:
            raise ValueError(
                f"field {field.name!r} of group {field.group!r} is no column of table {table}; "
                f"columns: {', '.join(map(str, columns))}"
            )
    check_declared_form(tables, fields)


def fit_on_training(
    fields: Sequence[Field], lists: pd.DataFrame, tables: FeatureTables, earlier: FeatureSpace | None = None
) -> FeatureSpace:
    """Returns the feature space of the users, contexts and candidates of training requests.

    With an earlier space, its values keep their indices; see `fit_feature_space`.
    """
    check_fields(fields, tables)
    training = lists.loc[lists["split"] == "train"]
    items = pd.unique(np.concatenate(training["candidate_item_ids"].to_list()))
    rows = {
        "user": tables.users.loc[tables.users["user_id"].isin(training["user_id"].unique())],
        "item": tables.items.loc[tables.items["item_id"].isin(items)],
        "context": tables.requests.loc[tables.requests["request_id"].isin(training["request_id"])],
        "score": tables.candidates.loc[tables.candidates["request_id"].isin(training["request_id"])],
    }
    return fit_feature_space(
        fields, {field.name: _values(field, rows[field.group]) for field in fields}, earlier
    )


def encode_lists(
    lists: pd.DataFrame, tables: FeatureTables, space: FeatureSpace, list_length: int
) -> Requests:
    """Returns every list as tensors, in the order of the lists.

    Users and items without a row in their table get index 0 (unknown) in all their fields. Candidates are
    padded to the largest set, and at least to the list length, so that every list has its slots.

    Raises: ValueError: If a request showed more items than the list length.
    """
    counts = lists["candidate_item_ids"].map(len).to_numpy()
    shown = lists["exposed_indices"].map(len).to_numpy()
    if shown.max() > list_length:
        row = int(shown.argmax())
        raise ValueError(
            f"request {lists['request_id'].iloc[row]} shows {shown[row]} items; "
            f"list_length allows {list_length}"
        )
    mask = np.arange(max(counts.max(), list_length)) < counts[:, None]
    exposed_mask = np.arange(list_length) < shown[:, None]
    return Requests(
        encoding=space.identity,
        request_id=torch.from_numpy(lists["request_id"].to_numpy(np.int64).copy()),
        split=_codes(lists["split"], SPLITS),
        role=_codes(lists["role"], ROLES),
        static=_encode_static(lists, tables, space),
        candidates=_encode_candidates(lists, tables, space, mask),
        mask=torch.from_numpy(mask),
        scores=_padded(lists["candidate_scores"], mask, np.float32),
        exposed=_padded(lists["exposed_indices"], exposed_mask, np.int64),
        exposed_mask=torch.from_numpy(exposed_mask),
        clicks=_padded(lists["clicks"], exposed_mask, np.float32),
    )


def _codes(values: pd.Series, names: Sequence[str]) -> torch.Tensor:
    codes = pd.Categorical(values, categories=list(names)).codes
    return torch.from_numpy(codes.astype(np.uint8))


def _padded(arrays: pd.Series, mask: NDArray[np.bool_], dtype: type) -> torch.Tensor:
    filled: NDArray[Any] = np.zeros(mask.shape, dtype=dtype)
    filled[mask] = np.concatenate(arrays.to_list())
    return torch.from_numpy(filled)


def _encode_static(lists: pd.DataFrame, tables: FeatureTables, space: FeatureSpace) -> torch.Tensor:
    user_rows = _row_of(tables.users["user_id"], lists["user_id"].to_numpy())
    request_rows = _row_of(tables.requests["request_id"], lists["request_id"].to_numpy())
    parts = [
        _looked_up(space, field, tables.users, user_rows)
        if field.group == "user"
        else _looked_up(space, field, tables.requests, request_rows)
        for field in space.fields
        if not field.per_candidate
    ]
    return torch.from_numpy(np.concatenate(parts, 1) if parts else np.zeros((len(lists), 0), dtype=np.int32))


def _encode_candidates(
    lists: pd.DataFrame, tables: FeatureTables, space: FeatureSpace, mask: NDArray[np.bool_]
) -> torch.Tensor:
    item_rows = _row_of(tables.items["item_id"], np.concatenate(lists["candidate_item_ids"].to_list()))
    handed = tables.candidates
    handed = handed[handed["request_id"].isin(lists["request_id"])].sort_values(
        ["request_id", "candidate_index"]
    )
    in_order = pd.Series(np.arange(len(lists)), index=lists["request_id"])[handed["request_id"]].to_numpy()
    handed = handed.iloc[np.argsort(in_order, kind="stable")]
    everything = np.arange(len(handed))
    flat = np.concatenate(
        [
            _looked_up(space, field, tables.items, item_rows)
            if field.group == "item"
            else _looked_up(space, field, handed, everything)
            for field in space.fields
            if field.per_candidate
        ],
        axis=1,
    )
    filled = np.zeros((*mask.shape, flat.shape[1]), dtype=np.int32)
    filled[mask] = flat
    return torch.from_numpy(filled)


def _row_of(keys: pd.Series, wanted: NDArray[np.generic]) -> NDArray[np.intp]:
    rows: NDArray[np.intp] = pd.Index(keys).get_indexer(pd.Index(wanted))
    return rows


def _looked_up(
    space: FeatureSpace, field: Field, table: pd.DataFrame, rows: NDArray[np.intp]
) -> NDArray[np.int32]:
    encoded = space.encode(field.name, _values(field, table))
    with_unknown = np.concatenate([encoded, np.zeros((1, field.columns), dtype=np.int32)])
    return with_unknown[rows]


def _values(field: Field, table: pd.DataFrame) -> NDArray[Any]:
    """Returns a column as the feature space reads it: NaN or None where a value is missing."""
    values = table[field.name]
    if field.kind == "numeric":
        return values.to_numpy(dtype=np.float64, na_value=np.nan)
    return values.astype(object).where(values.notna(), None).to_numpy()
