"""Renders the evaluation report."""

from collections.abc import Iterable, Mapping, Sequence
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
    estimates_of,
    judges_of_lists,
    percentage,
)
from degre_pipeline.reports.page import render
from degre_pipeline.reports.verdicts import reference_verdict, verdicts
from degre_pipeline.reranker.metrics import DECIMALS
from degre_pipeline.run_facts import RunFacts

Content = dict[str, object]
"""What the page's template lays out, by the names that it uses."""


def list_content(
    metrics: Sequence[Mapping[str, Any]],
    judgements: pd.DataFrame,
    agreement: pd.DataFrame,
    example_lists: pd.DataFrame,
) -> Content:
    """Returns what the page says of lists: how many were valued, pictures of their values, examples."""
    estimates, judge = estimates_of(metrics), value_judge(judgements["judge"])
    gains = {subject: _gain(judgements, judge, subject) for subject in (names.GENERATOR, names.BEAM)}
    pairs = agreement.groupby("judges", sort=False)[names.RANK_CORRELATION]
    judges = [name for name in judges_of_lists(estimates) if name != names.MINING]
    return {
        "counts": _counts(judgements),
        "hit_figure": list_plots.hit_rates(estimates),
        "gain_figure": list_plots.gain_distribution(gains),
        "gain_judge": JUDGE_LABELS[judge],
        "gain_shares": {SUBJECT_LABELS[subject]: _shares(gain) for subject, gain in gains.items()},
        "slot_figure": list_plots.value_by_slot({name: _slot_values(judgements, name) for name in judges}),
        "agreement_figure": list_plots.judge_agreement({str(pair): values for pair, values in pairs}),
        "examples": examples_of(example_lists),
    }


def model_content(
    histories: Mapping[str, pd.DataFrame],
    calibration: pd.DataFrame,
    ranking_score_quality: pd.DataFrame,
    diagnostics: pd.DataFrame,
    head_choice: Sequence[Mapping[str, Any]],
) -> Content:
    """Returns what the page says of models: training, calibration, the ranking score, diagnostics.

    Args:
        histories: Of each model's training, by the model's name; the generator's among them.
        calibration: Of the evaluators.
        ranking_score_quality: By split.
        diagnostics: Where the search goes wrong.
        head_choice: Heads that were considered for the evaluators.
    """
    return {
        "training_figure": model_plots.training_curves(histories),
        "teacher_figure": model_plots.teacher_agreement(histories["generator"]),
        "reliability_figure": model_plots.reliability(calibration),
        "calibration_figure": model_plots.calibration_by_slot_and_level(calibration),
        "ranking_score_table": tables.ranking_score_table(ranking_score_quality),
        "head_table": tables.head_table(head_choice),
        "optimism_table": tables.optimism_table(diagnostics),
        **diagnostic_plots.all_figures(diagnostics),
    }


def render_report(
    metrics: Sequence[Mapping[str, Any]],
    content: Content,
    config: EvaluationConfig,
    last_day: str,
    facts: RunFacts,
) -> str:
    """Returns the page of an evaluation on a log up to a day.

    Args:
        metrics: All figures.
        content: What `list_content` and `model_content` return.
        config: Of the evaluation.
        last_day: ISO date.
        facts: What was run.
    """
    estimates = estimates_of(metrics)
    return render(
        "evaluation_page.html.j2",
        facts,
        {
            "last_day": last_day,
            "config": config,
            "knows_truth": names.TRUTH in judges_of_lists(estimates),
            "verdicts": [*verdicts(estimates), *reference_verdict(estimates)],
            "log_says": statements(figures_of(metrics)),
            "gauc_table": tables.gauc_table(estimates),
            "headline_table": tables.headline_table(estimates),
            "logged_click_table": tables.logged_click_table(estimates),
            "hit_table": tables.hit_table(estimates),
            "exact_table": tables.exact_table(estimates),
            "distillation_table": tables.distillation_table(estimates),
            "quality_table": tables.quality_table(estimates),
            "agreement_table": tables.agreement_table(estimates),
            **content,
        },
    )


def _counts(judgements: pd.DataFrame) -> dict[str, int]:
    ranked = judgements[judgements["rank"].notna()]
    return {
        "valued": judgements["request_id"].nunique(),
        "ranked": ranked["request_id"].nunique(),
        "slots": max(map(len, judgements["slot_values"]), default=0),
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
