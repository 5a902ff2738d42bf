"""Ranks every subject's list among all lists of a request, and measures its regret to the best of them."""

import logging
from collections.abc import Mapping
from itertools import permutations

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm.auto import tqdm

from degre_pipeline.judging import names
from degre_pipeline.judging.evaluation_config import EvaluationConfig
from degre_pipeline.reranker.metrics import DECIMALS
from degre_pipeline.reranker.models.evaluator import Evaluator
from degre_pipeline.reranker.requests import Requests
from degre_pipeline.reranker.search.exact import AllLists, all_list_values, tree_size
from degre_pipeline.reranker.training.compilation import fuse_steps, step_work
from degre_pipeline.simulation.click_world import ClickTruth

logger = logging.getLogger(__name__)

COLUMNS = ("request_id", "subject", "judge", "value", "best_value", "rank", "lists")


def compare_with_all_lists(
    requests: Requests,
    lists: Mapping[str, Tensor],
    evaluators: Mapping[str, Evaluator],
    truth: ClickTruth | None,
    config: EvaluationConfig,
) -> pd.DataFrame:
    """Values all lists of the first requests by every judge, and places the subjects' lists among them.

    Args:
        requests: In the order in which they were drawn.
        lists: Candidate indices by subject, [b, t]; -1 at the end of shorter lists.
        evaluators: By the name of the judge.
        truth: Of the same requests; None where nobody knows it.
        config: `exact_requests` are taken, less those whose tree is larger than `exact_steps`.
    Returns: `COLUMNS`: the value of the list and of the best list, and how many lists are strictly better, of
    how many.
    """
    rows = _affordable(requests.select(slice(0, config.exact_requests)), config.exact_steps)
    for evaluator in evaluators.values():
        work = sum(_steps(requests, row) for row in rows) * step_work(evaluator)
        fuse_steps(evaluator, "auto", work)
    found = [
        placed
        for row in tqdm(rows, desc="all lists", unit="request", mininterval=1.0)
        for placed in _placed(requests.select(slice(row, row + 1)), row, lists, evaluators, truth)
    ]
    return pd.DataFrame(found, columns=list(COLUMNS))


def _affordable(requests: Requests, most_steps: int) -> list[int]:
    rows = [row for row in range(len(requests)) if _steps(requests, row) <= most_steps]
    if len(rows) < len(requests):
        largest = max(_steps(requests, row) for row in range(len(requests)))
        logger.warning(
            "%d of %d requests are not compared with all their lists: that takes up to %s steps a request; "
            "evaluation.settings.exact_steps allows %s",
            len(requests) - len(rows),
            len(requests),
            f"{largest:,}",
            f"{most_steps:,}",
        )
    return rows


def _steps(requests: Requests, row: int) -> int:
    return tree_size(int(requests.mask[row].sum()), requests.list_length)


def _placed(
    request: Requests,
    row: int,
    lists: Mapping[str, Tensor],
    evaluators: Mapping[str, Evaluator],
    truth: ClickTruth | None,
) -> list[dict[str, object]]:
    stacked = torch.stack([sequences[row] for sequences in lists.values()])
    judged = {name: _by_evaluator(evaluator, request) for name, evaluator in evaluators.items()}
    if truth is not None:
        judged[names.TRUTH] = _by_truth(truth, request)
    placed = []
    for judge, every in judged.items():
        values, ranks, best = every.value_of(stacked), every.rank_of(stacked), float(every.values.max())
        placed += [
            {
                "request_id": int(request.request_id),
                "subject": subject,
                "judge": judge,
                "value": float(value),
                "best_value": best,
                "rank": int(rank),
                "lists": len(every),
            }
            for subject, value, rank in zip(lists, values, ranks, strict=True)
        ]
    return placed


def _by_evaluator(evaluator: Evaluator, request: Requests) -> AllLists:
    device = next(evaluator.parameters()).device
    found = all_list_values(evaluator, request.to(device), most_steps=_steps(request, 0))
    return AllLists(found.candidates, found.slots, found.values.double().round(decimals=DECIMALS))


def _by_truth(truth: ClickTruth, request: Requests) -> AllLists:
    candidates = request.mask[0].nonzero()[:, 0]
    slots = min(request.list_length, len(candidates))
    lists = np.array(list(permutations(candidates.tolist(), slots)))
    values = torch.from_numpy(truth.select(request.request_id.tolist()).utility(lists[None])[0])
    return AllLists(candidates, slots, values.round(decimals=DECIMALS))
