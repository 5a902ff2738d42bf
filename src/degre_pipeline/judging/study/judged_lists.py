"""Values and ranks of all lists by all judges, one row for each list, judge and request."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor

from degre_pipeline.judging import names
from degre_pipeline.judging.evaluation_config import EvaluationConfig
from degre_pipeline.judging.judges import Judge, Values, true_optimum, values_of_lists
from degre_pipeline.judging.study.study_config import REFERENCE, TWIN
from degre_pipeline.reranker.metrics import DECIMALS, hits, rank_correlation, ranks
from degre_pipeline.reranker.requests import Requests
from degre_pipeline.simulation.click_world import ClickTruth

JUDGES_OF_TWIN = (names.PAPER_LIKE, names.TRUTH)
"""The judge whose twin it is, which shares its training requests, and who needs none."""

Shard = Mapping[str, Tensor]


def judged_lists(
    asked: Requests,
    shards: Mapping[str, Shard],
    judges: Sequence[Judge],
    comparisons: Mapping[str, Values],
    config: EvaluationConfig,
) -> pd.DataFrame:
    """Returns arm, seed, subject, judge, request_id, value and rank; NaN where a list was not compared.

    Args:
        asked: b requests; of the first ones some subjects have lists, and random lists are compared.
        shards: By `arm.seed.digest` and `twin..digest`, what `run_arm` returned; by `reference..digest`, what
            `reference_lists` did.
        judges: All but the miners, whose opinion the shards hold.
        comparisons: By judge, the values of the random lists of the first requests, [r, s].
        config: `batch_size` lists are valued together.
    """
    frames = []
    for shard, subject, lists in _subjects(shards):
        arm, seed, _ = shard.split(".")
        facts = {"arm": arm, "seed": seed, "subject": subject}
        for judge in judges:
            if arm == TWIN and judge.name not in JUDGES_OF_TWIN:
                continue
            values = values_of_lists(judge, asked.select(slice(0, len(lists))), lists, config.batch_size)
            ranked = ranks(values[: len(comparisons[judge.name])], comparisons[judge.name][: len(values)])
            frames.append(_frame(asked, {**facts, "judge": judge.name}, values, ranked))
        if f"value.{subject}" in shards[shard]:
            own = (shards[shard][f"{what}.{subject}"].numpy() for what in ("value", "rank"))
            frames.append(_frame(asked, {**facts, "judge": names.MINING}, *own))
    return pd.concat(frames, ignore_index=True)


def optimum_rows(asked: Requests, truth: ClickTruth) -> pd.DataFrame:
    """Returns the true value of each request's best list as rows of `judged_lists`, subject `optimum`."""
    best = true_optimum(truth, asked.list_length).utility
    return _frame(
        asked,
        {"arm": REFERENCE, "seed": "", "subject": names.OPTIMUM, "judge": names.TRUTH},
        best,
        np.empty(0),
    )


def agreement_by_size(external: Values, second: Values) -> pd.DataFrame:
    """Returns how far two ensembles of equal size agree on random lists, for every size.

    Args:
        external: Values of random lists by each member, [m, r, s].
        second: The same of the other ensemble.
    Returns: members, `rank_correlation` within a request, and `hr1_of_best`: how often the second's best
        random list is among the external's best percent.
    """
    rows = []
    for members in range(1, len(external) + 1):
        one, other = (values[:members].mean(0).round(DECIMALS) for values in (external, second))
        best = one[np.arange(len(one)), other.argmax(1)]
        rows.append(
            {
                "members": members,
                names.RANK_CORRELATION: float(np.nanmean(rank_correlation(one, other))),
                "hr1_of_best": float(hits(ranks(best, one), one.shape[1], 1).mean()),
            }
        )
    return pd.DataFrame(rows)


def _subjects(shards: Mapping[str, Shard]) -> Iterator[tuple[str, str, Tensor]]:
    for shard, tensors in shards.items():
        for name, lists in tensors.items():
            if "." not in name:
                yield shard, name, lists.long()


def _frame(asked: Requests, facts: Mapping[str, str], values: Values, ranked: NDArray[Any]) -> pd.DataFrame:
    rank = np.full(len(values), np.nan)
    rank[: len(ranked)] = ranked
    ids = asked.request_id[: len(values)].numpy()
    return pd.DataFrame({**facts, "request_id": ids, "value": values, "rank": rank})
