"""Turns judgements of single requests into the rows of the metrics file, each with its interval."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from degre_pipeline.judging import names
from degre_pipeline.judging.evaluation_config import EvaluationConfig
from degre_pipeline.reranker.metrics import bootstrap, hits

PerRequest = NDArray[np.float64]


def figures_by_request(judgements: pd.DataFrame, config: EvaluationConfig) -> pd.DataFrame:
    """Returns the judgements with a column for each metric: utility, regret, ndcg, ties, hr1, hr3, hr10."""
    rank = judgements["rank"].to_numpy()
    figures = judgements.rename(columns={"value": names.UTILITY})
    for percent, name in names.HIT_RATES.items():
        hit = hits(np.nan_to_num(rank, nan=0).astype(np.int64), config.comparison_lists, percent)
        figures[name] = np.where(np.isnan(rank), np.nan, hit)
    return figures


def summarise(figures: pd.DataFrame, config: EvaluationConfig) -> list[names.Row]:
    """Returns the mean of every metric by subject and judge, and the paired gains over the ranking order."""
    rows: list[names.Row] = []
    metrics = [names.UTILITY, names.REGRET, names.NDCG, *names.HIT_RATES.values(), names.TIES]
    for (subject, judge), part in figures.groupby(["subject", "judge"], sort=False):
        for metric in metrics:
            rows += _estimated(str(subject), str(judge), metric, part[metric].to_numpy(float), config)
    for judge, part in figures.groupby("judge", sort=False):
        rows += _paired(part, str(judge), config)
    return rows


def _paired(figures: pd.DataFrame, judge: str, config: EvaluationConfig) -> list[names.Row]:
    by_subject: Mapping[str, pd.DataFrame] = {
        str(subject): part.set_index("request_id") for subject, part in figures.groupby("subject", sort=False)
    }
    rows: list[names.Row] = []
    for subject, other in (
        *((subject, names.RANKING_ORDER) for subject in by_subject if subject != names.RANKING_ORDER),
        (names.GENERATOR, names.EXPOSED),
        (names.EXPOSED, names.RANDOM),
    ):
        gain = (by_subject[subject][names.UTILITY] - by_subject[other][names.UTILITY]).to_numpy(float)
        rows += _estimated(subject, judge, names.GAINS[other], gain, config)
    short = (by_subject[names.BEAM][names.HR1] - by_subject[names.GENERATOR][names.HR1]).to_numpy(float)
    return rows + _estimated(names.GENERATOR, judge, names.HR1_BELOW_BEAM, short, config)


def exact_rows(exact_judgements: pd.DataFrame, config: EvaluationConfig) -> list[names.Row]:
    """Returns the exact hit rates among all lists, and the exact regret to the best of them, in clicks."""
    rows: list[names.Row] = []
    for (subject, judge), part in exact_judgements.groupby(["subject", "judge"], sort=False):
        rank, lists = (part[name].to_numpy(np.int64) for name in ("rank", "lists"))
        regret = (part["best_value"] - part["value"]).to_numpy(float)
        rows += _estimated(str(subject), str(judge), names.EXACT_REGRET, regret, config)
        for percent, name in names.EXACT_HIT_RATES.items():
            hit = hits(rank, lists, percent).astype(np.float64)
            rows += _estimated(str(subject), str(judge), name, hit, config)
    return rows


def agreement_rows(agreement: pd.DataFrame, config: EvaluationConfig) -> list[names.Row]:
    """Returns the mean rank correlation of every two judges over random lists."""
    rows: list[names.Row] = []
    for pair, part in agreement.groupby("judges", sort=False):
        one, other = str(pair).split("-")
        rows += _estimated(
            one, other, names.RANK_CORRELATION, part[names.RANK_CORRELATION].to_numpy(float), config
        )
    return rows


def _estimated(
    subject: str, judge: str, metric: str, values: PerRequest, config: EvaluationConfig
) -> list[names.Row]:
    if not np.isfinite(values).any():
        return []
    estimate = bootstrap(values, samples=config.bootstrap_samples, seed=config.seed)
    return [names.figure_row(subject, judge, metric, **vars(estimate))]
