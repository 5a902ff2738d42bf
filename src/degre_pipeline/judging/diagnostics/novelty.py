"""How far lists lie from logged ones: which of their pairs of items, and of item and slot, no log shows."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from torch import Tensor

from degre_pipeline.judging import names
from degre_pipeline.judging.diagnostics.diagnostic_rows import Row, estimated
from degre_pipeline.judging.evaluation_config import EvaluationConfig
from degre_pipeline.reranker.schema import MINING, TRAIN

PAIRS = {names.UNLOGGED_ITEM_IN_SLOT: ["item", "slot"], names.UNLOGGED_NEXT_ITEM: ["item", "next_item"]}
"""The columns of a pair, by the diagnostic that is the share of pairs without a log entry."""


def novelty_rows(
    lists: pd.DataFrame, evaluated_lists: Mapping[str, Tensor], config: EvaluationConfig
) -> list[Row]:
    """Returns which share of the pairs in every subject's lists no training list of the mining role has.

    Pairs are an item and its slot, and an item and the one that follows.

    Args:
        lists: The table of that name.
        evaluated_lists: `request_id` [b], and candidate indices by subject, [b, t]; -1 at the end.
        config: Of the intervals.
    """
    taught = lists[(lists["split"] == TRAIN) & (lists["role"] == MINING)]
    logged = _placed(taught["candidate_item_ids"], taught["exposed_indices"])
    shown = lists.set_index("request_id")["candidate_item_ids"][evaluated_lists["request_id"].tolist()]
    rows: list[Row] = []
    for subject in names.SUBJECTS:
        placed = _placed(shown, [indices[indices >= 0] for indices in evaluated_lists[subject].numpy()])
        for diagnostic, pair in PAIRS.items():
            unlogged = _share_unlogged(placed[["row", *pair]].dropna(), logged[pair].dropna(), pair)
            rows += estimated(diagnostic, subject, names.LOG, unlogged, config)
    return rows


def _placed(item_ids: Iterable[np.ndarray], indices: Iterable[np.ndarray]) -> pd.DataFrame:
    """Returns row, slot, item and next_item of every placed item; the last of a list has no next one."""
    chosen = [items[list_items] for items, list_items in zip(item_ids, indices, strict=True)]
    rows = np.repeat(np.arange(len(chosen)), [len(list_items) for list_items in chosen])
    placed = pd.DataFrame({"row": rows, "item": np.concatenate(chosen)})
    by_row = placed.groupby("row")
    return placed.assign(slot=by_row.cumcount() + 1, next_item=by_row["item"].shift(-1))


def _share_unlogged(placed: pd.DataFrame, logged: pd.DataFrame, pair: list[str]) -> np.ndarray:
    """Returns the share of each row's pairs that are not among the logged ones."""
    known = pd.MultiIndex.from_frame(placed[pair]).isin(pd.MultiIndex.from_frame(logged.drop_duplicates()))
    return pd.Series(~known, dtype=float).groupby(placed["row"].to_numpy()).mean().to_numpy()
