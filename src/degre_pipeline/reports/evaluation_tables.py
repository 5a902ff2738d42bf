"""The report's tables, as text that the page only has to lay out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from degre_pipeline.reports.numbers import (
    JUDGE_LABELS,
    MISSING,
    MODEL_LABELS,
    SUBJECT_LABELS,
    Estimates,
    interval,
    judges_of_lists,
    logged_subjects,
    number,
    percentage,
    regret_removed,
    subject_label,
    subjects_of,
)
from degre_pipeline.reranker.metrics import Estimate

HIT_METRICS = {"hr1": "HR@1%", "hr3": "HR@3%", "hr10": "HR@10%", "ties": "ties"}
QUALITY_METRICS = {
    "r_auc": "R-AUC",
    "pcoc": "PCOC",
    "rmse": "RMSE",
    "loss": "loss",
    "gauc": "GAUC",
    "gauc_over_ranking_score": "over the ranking score",
}


class Cell(NamedTuple):
    """A figure as text, with its interval."""

    text: str
    interval: str = ""


class Row(NamedTuple):
    """A line of a table: its name and its figures."""

    name: str
    cells: Sequence[Cell]


@dataclass(frozen=True)
class Table:
    """A table of figures.

    Attributes:
        corner: Title of the column of names.
        columns: Titles of the other columns.
        rows: The lines.
        groups: Titles over columns, each with the number of columns it spans; none for a plain table.
    """

    corner: str
    columns: Sequence[str]
    rows: Sequence[Row]
    groups: Sequence[tuple[str, int]] = ()


LOGGED_METRICS = {"hit_1": "hit@1", "hit_3": "hit@3", "hit_k": "hit@k", "mrr": "MRR", "ndcg": "NDCG"}
LOGGED_JUDGES = {
    "logged_clicks": "as logged",
    "weighted_clicks": "weighted",
    "randomized_clicks": "of random lists",
}


def logged_click_table(estimates: Estimates) -> Table | None:
    """Returns where every subject puts the logged clicks; None where no test request was clicked."""
    present = {(subject, judge) for subject, judge, metric in estimates if metric == "mrr"}
    judges = [name for name in LOGGED_JUDGES if any(judge == name for _, judge in present)]
    if not judges:
        return None
    metrics = {
        judge: [name for name in LOGGED_METRICS if ("generator", judge, name) in estimates]
        for judge in judges
    }
    order = ("generator", "logged_clicks", "order_over_shown")
    rows = [
        Row(
            subject_label(subject),
            [_cell(estimates.get((subject, judge, name))) for judge in judges for name in metrics[judge]]
            + [_cell(estimates.get((subject, *order[1:])), signed=True)],
        )
        for subject in logged_subjects(estimates)
    ]
    columns = [LOGGED_METRICS[name] for judge in judges for name in metrics[judge]]
    groups = [(LOGGED_JUDGES[judge], len(metrics[judge])) for judge in judges]
    return Table("list", [*columns, "gain"], rows, [*groups, ("reordered", 1)])


def headline_table(estimates: Estimates) -> Table:
    """Returns utility and gain of every subject under every judge, and regret under the truth."""
    judges = judges_of_lists(estimates)
    columns, groups = [], []
    for judge in judges:
        own = ["utility", "gain"] + (["regret", "removed", "NDCG"] if judge == "truth" else [])
        columns += own
        groups.append((JUDGE_LABELS[judge], len(own)))
    rows = [
        Row(
            SUBJECT_LABELS[subject],
            [cell for judge in judges for cell in _headline(estimates, subject, judge)],
        )
        for subject in subjects_of(estimates)
    ]
    return Table("list", columns, rows, groups)


def _headline(estimates: Estimates, subject: str, judge: str) -> list[Cell]:
    cells = [
        _cell(estimates.get((subject, judge, "utility"))),
        _cell(estimates.get((subject, judge, "utility_over_ranking_order")), signed=True),
    ]
    if judge == "truth":
        cells.append(_cell(estimates.get((subject, judge, "regret"))))
        cells.append(Cell(percentage(regret_removed(estimates, subject))))
        cells.append(_cell(estimates.get((subject, judge, "ndcg"))))
    return cells


def hit_table(estimates: Estimates) -> Table:
    """Returns HR@1%, 3%, 10% and the share of ties of every subject under every judge."""
    judges = judges_of_lists(estimates)
    rows = [
        Row(
            SUBJECT_LABELS[subject],
            [_hit_cell(estimates, subject, judge, metric) for judge in judges for metric in HIT_METRICS],
        )
        for subject in subjects_of(estimates)
    ]
    groups = [(JUDGE_LABELS[judge], len(HIT_METRICS)) for judge in judges]
    return Table("list", list(HIT_METRICS.values()) * len(judges), rows, groups)


def _hit_cell(estimates: Estimates, subject: str, judge: str, metric: str) -> Cell:
    found = estimates.get((subject, judge, metric))
    if metric == "ties":
        return Cell(percentage(found.value, 2) if found is not None else MISSING)
    return Cell(number(found.value), interval(found, 2)) if found is not None else Cell(MISSING)


EXACT_METRICS = {
    "exact_hr1": "HR@1%",
    "exact_hr3": "HR@3%",
    "exact_hr10": "HR@10%",
    "exact_regret": "regret",
}


def exact_table(estimates: Estimates) -> Table | None:
    """Returns hit rates among all lists and the regret to the best of them; None where none were searched."""
    judges = [
        judge for judge in judges_of_lists(estimates) if ("generator", judge, "exact_regret") in estimates
    ]
    if not judges:
        return None
    rows = [
        Row(
            SUBJECT_LABELS[subject],
            [_cell(estimates.get((subject, judge, metric))) for judge in judges for metric in EXACT_METRICS],
        )
        for subject in subjects_of(estimates)
    ]
    groups = [(JUDGE_LABELS[judge], len(EXACT_METRICS)) for judge in judges]
    return Table("list", list(EXACT_METRICS.values()) * len(judges), rows, groups)


def distillation_table(estimates: Estimates) -> Table:
    """Returns how far the generator's HR@1% stays below the beam search's, by judge."""
    rows = [
        Row(
            JUDGE_LABELS[judge],
            [
                _cell(estimates.get(("beam", judge, "hr1"))),
                _cell(estimates.get(("generator", judge, "hr1"))),
                _cell(estimates.get(("generator", judge, "hr1_below_beam")), signed=True),
            ],
        )
        for judge in judges_of_lists(estimates)
    ]
    return Table("judge", ["beam search HR@1%", "generator HR@1%", "gap"], rows)


def quality_table(estimates: Estimates) -> Table:
    """Returns R-AUC, PCOC, RMSE, loss and GAUC of every model on the observed clicks."""
    rows = [
        Row(
            label,
            [
                _cell(estimates.get((model, "clicks", metric)), signed="over" in metric)
                for metric in QUALITY_METRICS
            ],
        )
        for model, label in MODEL_LABELS.items()
        if any((model, "clicks", metric) in estimates for metric in QUALITY_METRICS)
    ]
    return Table("model", list(QUALITY_METRICS.values()), rows)


def agreement_table(estimates: Estimates) -> Table:
    """Returns the mean rank correlation of every two judges over random lists."""
    rows = [
        Row(f"{JUDGE_LABELS.get(one, one)} and {JUDGE_LABELS.get(other, other)}", [_cell(found)])
        for (one, other, metric), found in estimates.items()
        if metric == "rank_correlation"
    ]
    return Table("judges", ["rank correlation"], rows)


def optimism_table(diagnostics: pd.DataFrame) -> Table:
    """Returns how much more the miner expects of every subject's lists than each other judge, in clicks."""
    found = {
        (str(one["diagnostic"]), str(one["subject"]), str(one["judge"])): Estimate(
            float(one["value"]), float(one["low"]), float(one["high"])
        )
        for one in diagnostics[diagnostics["at"].isna()].to_dict("records")
    }
    judges = [judge for judge in JUDGE_LABELS if ("optimism", "beam", judge) in found]
    rows = [
        Row(label, [cell for judge in judges for cell in _optimism(found, subject, judge)])
        for subject, label in SUBJECT_LABELS.items()
    ]
    groups = [(f"over {JUDGE_LABELS[judge]}", 2) for judge in judges]
    return Table("list", ["clicks a list", "share"] * len(judges), rows, groups)


def _optimism(found: Estimates, subject: str, judge: str) -> list[Cell]:
    share = found.get(("optimism_share", subject, judge))
    return [
        _cell(found.get(("optimism", subject, judge)), signed=True),
        Cell(percentage(share.value, 1, signed=True) if share is not None else MISSING),
    ]


def ranking_score_table(quality: pd.DataFrame) -> Table:
    """Returns the AUC of the ranking score by split."""
    order = {"train": 0, "validation": 1, "test": 2}
    rows = [
        Row(
            str(row["split"]),
            [
                Cell(number(float(row["click_auc"]))),
                Cell(number(float(row["exposure_auc"]))),
                Cell(f"{int(row['exposed_items']):,}"),
            ],
        )
        for row in sorted(
            quality.to_dict("records"), key=lambda row: order.get(str(row["split"]), len(order))
        )
    ]
    return Table("split", ["AUC for clicks", "AUC for exposure", "exposed items"], rows)


def _cell(estimate: Estimate | None, *, signed: bool = False) -> Cell:
    if estimate is None:
        return Cell(MISSING)
    return Cell(number(estimate.value, signed=signed), interval(estimate, signed=signed))
