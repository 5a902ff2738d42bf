"""Judges every subject's list of every request, and measures how far judges agree."""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm.auto import tqdm

from degre_pipeline.judging import names
from degre_pipeline.judging.evaluation_config import EvaluationConfig
from degre_pipeline.judging.judges import Judge, Optimum, Values, prefix_values, true_ndcg
from degre_pipeline.reranker.metrics import DECIMALS, rank_correlation, ranks, share_of_ties
from degre_pipeline.reranker.requests import Requests
from degre_pipeline.reranker.search.valuation import random_lists_of


def judge_subjects(
    requests: Requests, lists: Mapping[str, Tensor], judges: Sequence[Judge], batch_size: int
) -> pd.DataFrame:
    """Returns request_id, subject, judge, value and the slot values of every list."""
    stacked = torch.stack(list(lists.values()), 1)
    frames = []
    for judge in judges:
        values = prefix_values(judge, requests, stacked, batch_size)
        for position, subject in enumerate(lists):
            frames.append(
                pd.DataFrame(
                    {
                        "request_id": requests.request_id.numpy(),
                        "subject": subject,
                        "judge": judge.name,
                        "value": values[:, position, -1],
                        "slot_values": list(np.diff(values[:, position], axis=1, prepend=0.0)),
                    }
                )
            )
    return pd.concat(frames, ignore_index=True)


def add_truth(judgements: pd.DataFrame, optimum: Optimum | None) -> pd.DataFrame:
    """Returns the judgements with `regret` (clicks below the best list) and `ndcg` where truth judged."""
    judgements = judgements.assign(regret=np.nan, ndcg=np.nan)
    if optimum is None:
        return judgements
    for _, part in judgements[judgements["judge"] == names.TRUTH].groupby("subject"):
        slots = np.stack(part["slot_values"].to_list()).cumsum(1)
        judgements.loc[part.index, names.REGRET] = optimum.utility - part["value"].to_numpy()
        judgements.loc[part.index, names.NDCG] = true_ndcg(slots, optimum)
    return judgements


def add_ranks(
    judgements: pd.DataFrame, requests: Requests, judges: Sequence[Judge], config: EvaluationConfig
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Ranks the lists of the first requests among random ones.

    Returns: The judgements with `rank` (random lists that are strictly better; NaN where not ranked) and
        `ties` (share of random lists of exactly that value); and the rank correlation of every two judges
        over the random lists of each request.
    """
    ranked = requests.select(slice(0, config.judged_requests))
    values = {judge.name: comparison_values(judge, ranked, config) for judge in judges}
    judgements = judgements.assign(rank=np.nan, ties=np.nan)
    row_of = {request_id: row for row, request_id in enumerate(ranked.request_id.tolist())}
    ranked_judgements = judgements[judgements["request_id"].isin(row_of)]
    for (judge, _), part in ranked_judgements.groupby(["judge", "subject"]):
        compared = values[str(judge)][[row_of[request_id] for request_id in part["request_id"]]]
        list_values = part["value"].to_numpy().round(DECIMALS)
        judgements.loc[part.index, "rank"] = ranks(list_values, compared)
        judgements.loc[part.index, names.TIES] = share_of_ties(list_values, compared)
    return judgements, _agreement(ranked, values)


def comparison_values(judge: Judge, requests: Requests, config: EvaluationConfig) -> Values:
    """Returns the values of each request's random lists, [b, s]."""
    values = []
    label = f"random lists, {judge.name}"
    for row in tqdm(range(len(requests)), desc=label, unit="request", mininterval=1.0):
        one = requests.select(slice(row, row + 1))
        lists = random_lists_of(one, config.comparison_lists, config.seed)
        values.append(judge.prefix_values(one, lists)[0, :, -1].round(DECIMALS))
    return np.stack(values)


def _agreement(requests: Requests, values: Mapping[str, Values]) -> pd.DataFrame:
    frames = [
        pd.DataFrame(
            {
                "request_id": requests.request_id.numpy(),
                "judges": f"{one}-{other}",
                names.RANK_CORRELATION: rank_correlation(values[one], values[other]),
            }
        )
        for one, other in combinations(values, 2)
    ]
    return pd.concat(frames, ignore_index=True)
