"""Picks a few telling requests, and lays their lists out slot by slot."""

from collections.abc import Hashable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor

from degre_pipeline.judging import names

FIXED_COLUMNS = (
    "request_id",
    "chosen_for",
    "user_id",
    "judge",
    "subject",
    "slot",
    "item_id",
    "slot_value",
    "list_value",
    "click",
)
"""Columns of the example lists that do not come from the item table."""


def value_judge(judges: pd.Series) -> str:
    """Returns the judge whose values are shown: the truth where it judged, else the external evaluator."""
    return names.TRUTH if (judges == names.TRUTH).any() else names.EXTERNAL


def choose_requests(judgements: pd.DataFrame, judge: str) -> dict[int, str]:
    """Returns the ids of at most six telling requests and what each was chosen for, none twice.

    The gain is the generator's value less the ranking order's, by the judge. A reason that no request meets
    (nothing lost, say) chooses none. The last reason is that another judge overrates the gain: the mining
    evaluator where the judge is external, else the external evaluator.
    """
    gain = _lead(judgements, judge, names.GENERATOR, names.RANKING_ORDER)
    other = names.MINING if judge == names.EXTERNAL else names.EXTERNAL
    overrated = _lead(judgements, other, names.GENERATOR, names.RANKING_ORDER).reindex(gain.index) - gain
    behind_beam = _lead(judgements, judge, names.BEAM, names.GENERATOR).reindex(gain.index)
    wanted = {
        "largest gain over the ranking order": -gain.where(gain > 0),
        "gain in the upper quarter": (gain - float(gain.quantile(0.75))).abs(),
        "median gain": (gain - float(gain.median())).abs(),
        "largest loss to the ranking order": gain.where(gain < 0),
        "generator furthest below the beam search": -behind_beam.where(behind_beam > 0),
        f"gain most overrated by the {other} evaluator": -overrated.where(overrated > 0),
    }
    chosen: dict[int, str] = {}
    for reason, distance in wanted.items():
        left = distance.drop(index=list(chosen)).dropna()
        if len(left):
            chosen[int(left.index.to_numpy()[left.to_numpy().argmin()])] = reason
    return chosen


def lay_out(
    chosen: Mapping[int, str],
    *,
    lists: pd.DataFrame,
    items: pd.DataFrame,
    evaluated_lists: Mapping[str, Tensor],
    judgements: pd.DataFrame,
    judge: str,
) -> pd.DataFrame:
    """Returns one row for each slot of each subject's list of the chosen requests.

    Returns: `FIXED_COLUMNS` and the columns of the item table. `click` is what the item got where it was
        exposed in the log, whatever its slot there; NaN where it was not exposed.
    Raises: ValueError: If a chosen request is not among the lists or the evaluated lists.
    """
    row_of = _rows(chosen, "evaluated lists", evaluated_lists["request_id"].tolist())
    log_row_of = _rows(chosen, "lists", lists["request_id"].tolist())
    judged = judgements[judgements["judge"] == judge].set_index(["request_id", "subject"]).to_dict("index")
    rows = [
        {"request_id": request_id, "chosen_for": reason, "judge": judge, "subject": subject, **slot}
        for request_id, reason in chosen.items()
        for subject in (name for name in evaluated_lists if name != "request_id")
        for slot in _slots(
            lists.iloc[log_row_of[request_id]],
            evaluated_lists[subject][row_of[request_id]].tolist(),
            judged[request_id, subject],
        )
    ]
    table = pd.DataFrame(rows, columns=list(FIXED_COLUMNS))
    return table.merge(items, on="item_id", how="left", suffixes=("", "_of_item"))


def _slots(log: pd.Series, indices: list[int], judged: Mapping[Hashable, Any]) -> Iterator[dict[str, object]]:
    """Yields the slots of one list, given the request's log row, the candidate indices and the judgement."""
    clicks = dict(zip(log["exposed_indices"], log["clicks"], strict=True))
    for slot, index in enumerate(indices, start=1):
        if index >= 0:  # -1 marks the end of a shorter list
            yield {
                "user_id": log["user_id"],
                "slot": slot,
                "item_id": log["candidate_item_ids"][index],
                "slot_value": float(judged["slot_values"][slot - 1]),
                "list_value": float(judged["value"]),
                "click": float(clicks.get(index, np.nan)),
            }


def _lead(judgements: pd.DataFrame, judge: str, subject: str, other: str) -> pd.Series:
    """Returns how much more one subject's list of each request is worth than another's, by request id."""
    judged = judgements[judgements["judge"] == judge]
    one, two = (
        judged[judged["subject"] == name].set_index("request_id")["value"] for name in (subject, other)
    )
    return one - two


def _rows(chosen: Mapping[int, str], table: str, request_ids: list[int]) -> dict[int, int]:
    row_of = {request_id: row for row, request_id in enumerate(request_ids) if request_id in chosen}
    missing = [request_id for request_id in chosen if request_id not in row_of]
    if missing:
        raise ValueError(
            f"the {table} lack request {missing[0]}; allowed: every judged request; "
            "evaluate again: kedro run --pipeline=evaluation"
        )
    return row_of
