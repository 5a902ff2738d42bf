"""Columns that turn a rule about a whole request or table into a rule about one row."""

import numpy as np
import pandas as pd


def with_candidate_checks(candidates: pd.DataFrame) -> pd.DataFrame:
    """Return the candidates with `expected_index` and `score_to_check`.

    `expected_index` counts the rows of a request from 0 in the order of `candidate_index`: it differs where
    an index is left out or doubled. `score_to_check` is the ranking score, or 0 everywhere when the source
    has no score at all: then it may be missing, but it may not be missing in part.
    """
    counted = _count_from_zero(candidates, "candidate_index")
    return candidates.assign(
        expected_index=counted, score_to_check=_score_to_check(candidates["ranking_score"])
    )


def with_exposure_checks(exposures: pd.DataFrame) -> pd.DataFrame:
    """Return the exposures with `expected_slot`, which counts the rows of a request from 1 by slot."""
    return exposures.assign(expected_slot=_count_from_zero(exposures, "slot") + 1)


def flat_lists(lists: pd.DataFrame) -> pd.DataFrame:
    """Return one flat row a request: the keys, and counts and bounds of each list column.

    Columns: `n_candidates`, `n_distinct_candidates`, `n_scores`, `n_unusable_scores`, `n_exposed`,
    `n_distinct_exposed`, `min_exposed_index`, `max_exposed_index`, `n_clicks`, `min_click`, `max_click`.
    A bound of an empty list is missing. A score is unusable when it is infinite, or missing although the
    table has scores.
    """
    candidates, scores = _long(lists["candidate_item_ids"]), _long(lists["candidate_scores"])
    exposed, clicks = _long(lists["exposed_indices"]), _long(lists["clicks"])
    rows = range(len(lists))
    usable = np.isfinite(_score_to_check(scores["value"].astype("float64")))
    return lists[["request_id", "user_id", "split", "role"]].assign(
        n_candidates=_sizes(lists["candidate_item_ids"]),
        n_distinct_candidates=_distinct(candidates, rows),
        n_scores=_sizes(lists["candidate_scores"]),
        n_unusable_scores=(~usable).groupby(scores["row"]).sum().reindex(rows, fill_value=0).to_numpy(),
        n_exposed=_sizes(lists["exposed_indices"]),
        n_distinct_exposed=_distinct(exposed, rows),
        min_exposed_index=_bound(exposed, "min", rows),
        max_exposed_index=_bound(exposed, "max", rows),
        n_clicks=_sizes(lists["clicks"]),
        min_click=_bound(clicks, "min", rows),
        max_click=_bound(clicks, "max", rows),
    )


def _count_from_zero(frame: pd.DataFrame, column: str) -> pd.Series:
    """Return the place of each row in its request by that column; -1 where the column is missing."""
    places = frame.groupby("request_id", sort=False)[column].rank(method="first") - 1
    return places.fillna(-1).astype("int64")


def _score_to_check(scores: pd.Series) -> pd.Series:
    return scores if scores.notna().any() else pd.Series(0.0, index=scores.index)


def _sizes(lists: pd.Series) -> np.ndarray:
    return np.array([len(values) for values in lists], dtype=np.int64)


def _long(lists: pd.Series) -> pd.DataFrame:
    """Return one line an element: `row`, the number of its list, and `value`."""
    values = [value for one in lists for value in one]
    return pd.DataFrame({"row": np.repeat(np.arange(len(lists)), _sizes(lists)), "value": values})


def _distinct(elements: pd.DataFrame, rows: range) -> np.ndarray:
    return elements.drop_duplicates()["row"].value_counts().reindex(rows, fill_value=0).to_numpy()


def _bound(elements: pd.DataFrame, which: str, rows: range) -> np.ndarray:
    numbers = pd.to_numeric(elements["value"])
    return numbers.groupby(elements["row"]).agg(which).reindex(rows).to_numpy(dtype="float64")
