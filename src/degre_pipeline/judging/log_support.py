"""What a log can support, in figures and in words: how much its slots vary, and what it never shows."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from degre_pipeline.judging import names
from degre_pipeline.reranker.requests import Requests
from degre_pipeline.reranker.support import (
    LEAST_COVERAGE,
    in_ranking_order,
    placements,
    shown_ranks,
    slot_coverage,
    slot_entropy,
)

CONSTANT = 0.995
"""A log is said to hold one number of clicks only where this share of its lists has it."""

LEAST_ENTROPY = 0.02
"""Below it, slots follow from the score or from the order handed over."""

MOST_PAIRED = 50_000
"""Pairs of items are counted in the first lists, so many at most."""


def log_support_rows(
    requests: Requests, lists: pd.DataFrame, tables: Mapping[str, pd.DataFrame]
) -> list[names.Row]:
    """Returns what the log can support as rows {subject, judge, metric, value, low, high}.

    Args:
        requests: Encoded requests of the whole log.
        lists: The same requests as a table, with ids of items and users.
        tables: users and items by name.
    """
    clicks = requests.clicks.sum(1).long().numpy()
    usual = int(np.bincount(clicks).argmax())
    figures = {
        names.LISTS: float(len(requests)),
        names.IN_RANKING_ORDER: in_ranking_order(requests).double().mean().item(),
        names.SLOT_ENTROPY: slot_entropy(requests),
        names.SLOT_COVERAGE: slot_coverage(requests),
        names.PAIRS_IN_BOTH_ORDERS: pairs_in_both_orders(lists.iloc[:MOST_PAIRED]),
        names.CLICKS: float(clicks.mean()),
        names.USUAL_CLICKS: float(usual),
        names.LISTS_WITH_USUAL_CLICKS: float((clicks == usual).mean()),
        names.CANDIDATES_WITHOUT_ITEM: _share_unknown(
            lists["candidate_item_ids"], tables["items"]["item_id"]
        ),
        names.REQUESTS_WITHOUT_USER: float((~lists["user_id"].isin(tables["users"]["user_id"])).mean()),
    }
    shown = placements(requests, shown_ranks(requests)).sum(1).tolist()
    figures |= {f"{names.SHOWN_AT_RANK}{rank:02d}": share for rank, share in enumerate(shown, start=1)}
    return [
        names.figure_row(names.LOG, names.LOG, name, value=value, low=None, high=None)
        for name, value in figures.items()
    ]


def pairs_in_both_orders(lists: pd.DataFrame) -> float:
    """Returns the share of pairs of items that occur in both orders, of those shown together twice or more.

    Args:
        lists: Rows with candidate_item_ids and exposed_indices.
    """
    above, below = _pairs(lists)
    lower, higher = np.minimum(above, below), np.maximum(above, below)
    pairs, index, count = np.unique(
        np.stack([lower, higher], 1), axis=0, return_inverse=True, return_counts=True
    )
    upright = np.bincount(index.ravel(), weights=above < below, minlength=len(pairs))
    repeated = count >= 2
    both = (upright > 0) & (upright < count)
    return float(both[repeated].mean()) if repeated.any() else float("nan")


def _pairs(lists: pd.DataFrame) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Returns codes of the items of every pair of slots, the upper slot's and the lower one's."""
    shown = [
        np.asarray(ids)[np.asarray(indices, dtype=np.int64)]
        for ids, indices in zip(lists["candidate_item_ids"], lists["exposed_indices"], strict=True)
    ]
    codes = pd.factorize(np.concatenate(shown))[0].astype(np.int64)
    ends = np.cumsum([len(items) for items in shown])[:-1]
    above, below = [], []
    for items in np.split(codes, ends):
        upper, lower = np.triu_indices(len(items), 1)
        above.append(items[upper])
        below.append(items[lower])
    return np.concatenate(above), np.concatenate(below)


def _share_unknown(ids: "pd.Series[Any]", known: "pd.Series[Any]") -> float:
    return float((~pd.Series(np.concatenate(ids.to_list())).isin(known)).mean())


def figures_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Returns the figures of the log by name, from its rows or from all metrics."""
    return {
        str(row["metric"]): float(row["value"])
        for row in rows
        if row["judge"] == names.LOG and row["value"] is not None
    }


def varies(figures: Mapping[str, float]) -> bool:
    """Returns whether slots vary enough, given the score, to tell effects of slots from those of scores."""
    return figures[names.SLOT_COVERAGE] >= LEAST_COVERAGE


def statements(figures: Mapping[str, float]) -> list[str]:
    """Returns the meaning of a log's figures, a sentence each, the gravest first; none without figures."""
    if not figures:
        return []
    sentences = []
    share = f"{100 * figures[names.IN_RANKING_ORDER]:.3g}%"
    seen = f"{100 * figures[names.SLOT_COVERAGE]:.0f}% of what random lists show"
    if figures[names.SLOT_ENTROPY] < LEAST_ENTROPY:
        sentences.append(
            f"Slots follow the score, or the order handed over, in {share} of the lists: nothing in this log "
            "tells what another order would have earned."
        )
    elif not varies(figures):
        sentences.append(
            f"Slots vary little given the score ({seen}; {share} of the lists are the ranking order): this "
            "log hardly tells what another order would have earned."
        )
    else:
        sentences.append(
            f"Slots vary given the score ({seen}; {share} of the lists are the ranking order): this log can "
            "compare orders."
        )
    if figures[names.LISTS_WITH_USUAL_CLICKS] >= CONSTANT:
        number = int(figures[names.USUAL_CLICKS])
        sentences.append(
            f"{100 * figures[names.LISTS_WITH_USUAL_CLICKS]:.3g}% of the lists have exactly {number} click"
            f"{'' if number == 1 else 's'}: their number says nothing about a list, only where they are does."
        )
    never = [
        int(name.removeprefix(names.SHOWN_AT_RANK))
        for name, value in figures.items()
        if name.startswith(names.SHOWN_AT_RANK) and value == 0
    ]
    if never:
        sentences.append(
            f"Candidates of rank {min(never)} to {max(never)} were never shown: nothing is known of them."
        )
    for name, what in (
        (names.CANDIDATES_WITHOUT_ITEM, "candidates have no row in table items"),
        (names.REQUESTS_WITHOUT_USER, "requests have a user without a row in table users"),
    ):
        if figures.get(name, 0) > 0:
            sentences.append(f"{100 * figures[name]:.2g}% of the {what}: their features are unknown.")
    return sentences
