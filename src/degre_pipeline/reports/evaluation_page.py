"""Renders the evaluation report."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from degre_pipeline.judging import names
from degre_pipeline.judging.evaluation_config import EvaluationConfig
from degre_pipeline.judging.examples import value_judge
from degre_pipeline.judging.log_support import figures_of, statements
from degre_pipeline.reports import diagnostic_plots, list_plots, model_plots
from degre_pipeline.reports import evaluation_tables as tables
from degre_pipeline.reports.example_cards import examples_of
from degre_pipeline.reports.numbers import (
    JUDGE_LABELS,
    SUBJECT_LABELS,
    Estimates,
    estimates_of,
    judges_of_lists,
    percentage,
)
from degre_pipeline.reports.page import render
from degre_pipeline.reports.verdicts import verdicts
from degre_pipeline.reranker.metrics import DECIMALS
from degre_pipeline.run_facts import RunFacts


@dataclass(frozen=True)
class ReportData:
    """What an evaluation left in the catalog, under the catalog's names."""

    metrics: Sequence[Mapping[str, Any]]
    list_judgements: pd.DataFrame
    evaluator_calibration: pd.DataFrame
    mining_evaluator_history: pd.DataFrame
    external_evaluator_history: pd.DataFrame
    generator_history: pd.DataFrame
    example_lists: pd.DataFrame
    ranking_score_quality: pd.DataFrame
    judge_agreement: pd.DataFrame
    diagnostics: pd.DataFrame


def render_report(data: ReportData, config: EvaluationConfig, last_day: str, facts: RunFacts) -> str:
    """Returns the page of an evaluation on a log up to a day."""
    estimates = estimates_of(data.metrics)
    return render(
        "evaluation_page.html.j2",
        facts,
        {
            "last_day": last_day,
            "config": config,
            "counts": _counts(data.list_judgements),
            "knows_truth": names.TRUTH in judges_of_lists(estimates),
            "verdicts": verdicts(estimates),
            "log_says": statements(figures_of(data.metrics)),
            **_tables(estimates, data),
            **_list_figures(estimates, data),
            **_model_figures(data),
            **diagnostic_plots.all_figures(data.diagnostics),
            "examples": examples_of(data.example_lists),
        },
    )


def _counts(judgements: pd.DataFrame) -> dict[str, int]:
    ranked = judgements[judgements["rank"].notna()]
    return {
        "valued": judgements["request_id"].nunique(),
        "ranked": ranked["request_id"].nunique(),
        "slots": max(map(len, judgements["slot_values"]), default=0),
    }


def _tables(estimates: Estimates, data: ReportData) -> dict[str, tables.Table | None]:
    return {
        "headline_table": tables.headline_table(estimates),
        "logged_click_table": tables.logged_click_table(estimates),
        "hit_table": tables.hit_table(estimates),
        "exact_table": tables.exact_table(estimates),
        "distillation_table": tables.distillation_table(estimates),
        "quality_table": tables.quality_table(estimates),
        "optimism_table": tables.optimism_table(data.diagnostics),
        "agreement_table": tables.agreement_table(estimates),
        "ranking_score_table": tables.ranking_score_table(data.ranking_score_quality),
    }


def _list_figures(estimates: Estimates, data: ReportData) -> dict[str, object]:
    judge = value_judge(data.list_judgements["judge"])
    gains = {
        subject: _gain(data.list_judgements, judge, subject) for subject in (names.GENERATOR, names.BEAM)
    }
    pairs = data.judge_agreement.groupby("judges", sort=False)[names.RANK_CORRELATION]
    return {
        "hit_figure": list_plots.hit_rates(estimates),
        "gain_figure": list_plots.gain_distribution(gains),
        "gain_judge": JUDGE_LABELS[judge],
        "gain_shares": {SUBJECT_LABELS[subject]: _shares(gain) for subject, gain in gains.items()},
        "slot_figure": list_plots.value_by_slot(
            {
                name: _slot_values(data.list_judgements, name)
                for name in judges_of_lists(estimates)
                if name != names.MINING
            }
        ),
        "agreement_figure": list_plots.judge_agreement({str(pair): values for pair, values in pairs}),
    }


def _model_figures(data: ReportData) -> dict[str, str | None]:
    histories = {
        "mining evaluator": data.mining_evaluator_history,
        "external evaluator": data.external_evaluator_history,
        "generator": data.generator_history,
    }
    return {
        "training_figure": model_plots.training_curves(histories),
        "teacher_figure": model_plots.teacher_agreement(data.generator_history),
        "reliability_figure": model_plots.reliability(data.evaluator_calibration),
        "calibration_figure": model_plots.calibration_by_slot_and_level(data.evaluator_calibration),
    }


def _gain(judgements: pd.DataFrame, judge: str, subject: str) -> "pd.Series[float]":
    judged = judgements[judgements["judge"] == judge]
    values = judged.pivot_table(index="request_id", columns="subject", values="value", dropna=False)
    gain: pd.Series[float] = values[subject] - values[names.RANKING_ORDER]
    return gain


def _shares(gain: "pd.Series[float]") -> dict[str, str]:
    """Returns the shares of requests with a better, an equal and a worse list than the ranking order."""
    known = gain.dropna().round(DECIMALS)
    parts: Iterable[tuple[str, float]] = (
        ("better", (known > 0).mean()),
        ("equal", (known == 0).mean()),
        ("worse", (known < 0).mean()),
    )
    return {name: percentage(float(share)) for name, share in parts}


def _slot_values(judgements: pd.DataFrame, judge: str) -> dict[str, list[float]]:
    """Returns the mean expected clicks of each slot, by subject; NaN where no value is known."""
    judged = judgements[judgements["judge"] == judge]
    means = {}
    for subject in SUBJECT_LABELS:
        rows = judged.loc[judged["subject"] == subject, "slot_values"]
        if len(rows):
            slots = np.ma.masked_invalid(np.stack(rows.to_list()).astype(np.float64))
            means[subject] = slots.mean(axis=0).filled(np.nan).tolist()
    return means
