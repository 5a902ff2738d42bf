"""Turns judgements of single requests into the rows of the metrics file, each with its interval."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from degre_pipeline.judging.evaluation_config import EvaluationConfig
from degre_pipeline.reranker.metrics import bootstrap, hits

PERCENTS = (1, 3, 10)
Row = dict[str, Any]
PerRequest = NDArray[np.float64]


def figures_by_request(judgements: pd.DataFrame, config: EvaluationConfig) -> pd.DataFrame:
    """Returns the judgements with a column for each metric: utility, regret, ndcg, ties, hr1, hr3, hr10."""
    rank = judgements["rank"].to_numpy()
    figures = judgements.rename(columns={"value": "utility"})
    for percent in PERCENTS:
        hit = hits(np.nan_to_num(rank, nan=0).astype(np.int64), config.comparison_lists, percent)
        figures[f"hr{percent}"] = np.where(np.isnan(rank), np.nan, hit)
    return figures


def summarise(figures: pd.DataFrame, config: EvaluationConfig) -> list[Row]:
    """Returns the mean of every metric by subject and judge, and the paired gains over the ranking order."""
    rows: list[Row] = []
    metrics = ["utility", "regret", "ndcg", *(f"hr{percent}" for percent in PERCENTS), "ties"]
    for (subject, judge), part in figures.groupby(["subject", "judge"], sort=False):
        for metric in metrics:
            rows += _estimated(str(subject), str(judge), metric, part[metric].to_numpy(float), config)
    for judge, part in figures.groupby("judge", sort=False):
        rows += _paired(part, str(judge), config)
    return rows


def _paired(figures: pd.DataFrame, judge: str, config: EvaluationConfig) -> list[Row]:
    by_subject: Mapping[str, pd.DataFrame] = {
        str(subject): part.set_index("request_id") for subject, part in figures.groupby("subject", sort=False)
    }
    rows: list[Row] = []
    for subject, other in (
        *((subject, "ranking_order") for subject in by_subject if subject != "ranking_order"),
        ("generator", "exposed"),
        ("exposed", "random"),
    ):
        gain = (by_subject[subject]["utility"] - by_subject[other]["utility"]).to_numpy(float)
        rows += _estimated(subject, judge, f"utility_over_{other}", gain, config)
    short = (by_subject["beam"]["hr1"] - by_subject["generator"]["hr1"]).to_numpy(float)
    return rows + _estimated("generator", judge, "hr1_below_beam", short, config)


def exact_rows(exact_judgements: pd.DataFrame, config: EvaluationConfig) -> list[Row]:
    """Returns the exact hit rates among all lists, and the exact regret to the best of them, in clicks."""
    rows: list[Row] = []
    for (subject, judge), part in exact_judgements.groupby(["subject", "judge"], sort=False):
        rank, lists = (part[name].to_numpy(np.int64) for name in ("rank", "lists"))
        regret = (part["best_value"] - part["value"]).to_numpy(float)
        rows += _estimated(str(subject), str(judge), "exact_regret", regret, config)
        for percent in PERCENTS:
            hit = hits(rank, lists, percent).astype(np.float64)
            rows += _estimated(str(subject), str(judge), f"exact_hr{percent}", hit, config)
    return rows


def agreement_rows(agreement: pd.DataFrame, config: EvaluationConfig) -> list[Row]:
    """Returns the mean rank correlation of every two judges over random lists."""
    rows: list[Row] = []
    for pair, part in agreement.groupby("judges", sort=False):
        one, other = str(pair).split("-")
        rows += _estimated(one, other, "rank_correlation", part["rank_correlation"].to_numpy(float), config)
    return rows


def _estimated(
    subject: str, judge: str, metric: str, values: PerRequest, config: EvaluationConfig
) -> list[Row]:
    if not np.isfinite(values).any():
        return []
    estimate = bootstrap(values, samples=config.bootstrap_samples, seed=config.seed)
    return [{"subject": subject, "judge": judge, "metric": metric, **vars(estimate)}]
