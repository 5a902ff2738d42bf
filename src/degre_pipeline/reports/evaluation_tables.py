"""The report's tables, as text that the page only has to lay out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import pandas as pd

from degre_pipeline.judging import names
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
from degre_pipeline.reranker.schema import SPLITS

HIT_METRICS = {name: f"HR@{percent}%" for percent, name in names.HIT_RATES.items()} | {names.TIES: "ties"}
QUALITY_METRICS = {
    names.R_AUC: "R-AUC",
    names.PCOC: "PCOC",
    names.RMSE: "RMSE",
    names.LOSS: "loss",
}
GAUC_METRICS = {
    names.GAUC: "GAUC",
    names.GAUC_OVER_RANKING_SCORE: "over the ranking score",
    names.GAUC_OVER_REFERENCES: "over the best point-wise order",
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


LOGGED_METRICS = {
    names.HIT_1: "hit@1",
    names.HIT_3: "hit@3",
    names.HIT_K: "hit@k",
    names.MRR: "MRR",
    names.NDCG: "NDCG",
}
LOGGED_JUDGES = {
    names.LOGGED_CLICKS: "as logged",
    names.WEIGHTED_CLICKS: "weighted",
    names.RANDOMIZED_CLICKS: "of random lists",
}


def logged_click_table(estimates: Estimates) -> Table | None:
    """Returns where every subject puts the logged clicks; None where no test request was clicked."""
    present = {(subject, judge) for subject, judge, metric in estimates if metric == names.MRR}
    judges = [name for name in LOGGED_JUDGES if any(judge == name for _, judge in present)]
    if not judges:
        return None
    metrics = {
        judge: [name for name in LOGGED_METRICS if (names.GENERATOR, judge, name) in estimates]
        for judge in judges
    }
    rows = [
        Row(
            subject_label(subject),
            [_cell(estimates.get((subject, judge, name))) for judge in judges for name in metrics[judge]]
            + [_cell(estimates.get((subject, names.LOGGED_CLICKS, names.ORDER_OVER_SHOWN)), signed=True)],
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
        titles = ["utility", "gain"] + (["regret", "removed", "NDCG"] if judge == names.TRUTH else [])
        columns += titles
        groups.append((JUDGE_LABELS[judge], len(titles)))
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
        _cell(estimates.get((subject, judge, names.UTILITY))),
        _cell(estimates.get((subject, judge, names.UTILITY_OVER_RANKING_ORDER)), signed=True),
    ]
    if judge == names.TRUTH:
        cells.append(_cell(estimates.get((subject, judge, names.REGRET))))
        cells.append(Cell(percentage(regret_removed(estimates, subject))))
        cells.append(_cell(estimates.get((subject, judge, names.NDCG))))
    return cells


def hit_table(estimates: Estimates) -> Table:
    """Returns HR@1%, 3%, 10% and the share of ties of every subject under every judge."""
    return _by_judge(estimates, judges_of_lists(estimates), HIT_METRICS, _hit_cell)


def _by_judge(
    estimates: Estimates,
    judges: Sequence[str],
    titles: Mapping[str, str],
    cell: Callable[[Estimate | None, str], Cell],
) -> Table:
    """Returns the metrics that have titles, of every subject under every judge."""
    rows = [
        Row(
            SUBJECT_LABELS[subject],
            [cell(estimates.get((subject, judge, name)), name) for judge in judges for name in titles],
        )
        for subject in subjects_of(estimates)
    ]
    groups = [(JUDGE_LABELS[judge], len(titles)) for judge in judges]
    return Table("list", list(titles.values()) * len(judges), rows, groups)


def _hit_cell(found: Estimate | None, metric: str) -> Cell:
    if metric == names.TIES:
        return Cell(percentage(found.value, 2) if found is not None else MISSING)
    return Cell(number(found.value), interval(found, 2)) if found is not None else Cell(MISSING)


EXACT_METRICS = {
    **{name: f"HR@{percent}%" for percent, name in names.EXACT_HIT_RATES.items()},
    names.EXACT_REGRET: "regret",
}


def exact_table(estimates: Estimates) -> Table | None:
    """Returns hit rates among all lists and the regret to the best of them; None where none were searched."""
    judges = [
        judge
        for judge in judges_of_lists(estimates)
        if (names.GENERATOR, judge, names.EXACT_REGRET) in estimates
    ]
    if not judges:
        return None
    return _by_judge(estimates, judges, EXACT_METRICS, lambda found, _: _cell(found))


def distillation_table(estimates: Estimates) -> Table:
    """Returns how far the generator's HR@1% stays below the beam search's, by judge."""
    rows = [
        Row(
            JUDGE_LABELS[judge],
            [
                _cell(estimates.get((names.BEAM, judge, names.HR1))),
                _cell(estimates.get((names.GENERATOR, judge, names.HR1))),
                _cell(estimates.get((names.GENERATOR, judge, names.HR1_BELOW_BEAM)), signed=True),
            ],
        )
        for judge in judges_of_lists(estimates)
    ]
    return Table("judge", ["beam search HR@1%", "generator HR@1%", "gap"], rows)


def quality_table(estimates: Estimates) -> Table:
    """Returns R-AUC, PCOC, RMSE and loss of every model on the observed clicks."""
    return _by_model(estimates, QUALITY_METRICS)


def gauc_table(estimates: Estimates) -> Table | None:
    """Returns how well models, and point-wise references, order the items of a list; None if unknown."""
    table = _by_model(estimates, GAUC_METRICS)
    return table if table.rows else None


def _by_model(estimates: Estimates, metrics: Mapping[str, str]) -> Table:
    """Returns figures on the observed clicks, a row for each model that has one."""
    rows = [
        Row(
            label,
            [
                _cell(estimates.get((model, names.CLICKS, metric)), signed="over" in metric)
                for metric in metrics
            ],
        )
        for model, label in MODEL_LABELS.items()
        if any((model, names.CLICKS, metric) in estimates for metric in metrics)
    ]
    return Table("model", list(metrics.values()), rows)


def agreement_table(estimates: Estimates) -> Table:
    """Returns the mean rank correlation of every two judges over random lists."""
    rows = [
        Row(f"{JUDGE_LABELS.get(one, one)} and {JUDGE_LABELS.get(other, other)}", [_cell(found)])
        for (one, other, metric), found in estimates.items()
        if metric == names.RANK_CORRELATION
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
    judges = [judge for judge in JUDGE_LABELS if (names.OPTIMISM, names.BEAM, judge) in found]
    rows = [
        Row(label, [cell for judge in judges for cell in _optimism(found, subject, judge)])
        for subject, label in SUBJECT_LABELS.items()
    ]
    groups = [(f"over {JUDGE_LABELS[judge]}", 2) for judge in judges]
    return Table("list", ["clicks a list", "share"] * len(judges), rows, groups)


def _optimism(found: Estimates, subject: str, judge: str) -> list[Cell]:
    share = found.get((names.OPTIMISM_SHARE, subject, judge))
    return [
        _cell(found.get((names.OPTIMISM, subject, judge)), signed=True),
        Cell(percentage(share.value, 1, signed=True) if share is not None else MISSING),
    ]


def head_table(rows: Sequence[Mapping[str, Any]]) -> Table | None:
    """Returns the heads that were considered for the evaluators; None where the settings named one."""
    if not rows:
        return None
    lines = [
        Row(
            row["head"] + (" (chosen)" if row["chosen"] else ""),
            [
                Cell(MISSING if row["surprise"] is None else number(row["surprise"])),
                _cell(
                    None
                    if row["difference"] is None
                    else Estimate(row["difference"], row["low"], row["high"]),
                    signed=True,
                ),
                Cell(row["reason"]),
            ],
        )
        for row in rows
    ]
    return Table("head", ["surprise of a list's clicks, nats", "difference from company", "why"], lines)


def ranking_score_table(quality: pd.DataFrame) -> Table:
    """Returns the AUC of the ranking score by split."""
    rows = [
        Row(
            str(row["split"]),
            [
                Cell(number(float(row["click_auc"]))),
                Cell(number(float(row["exposure_auc"]))),
                Cell(f"{int(row['exposed_items']):,}"),
            ],
        )
        for row in sorted(quality.to_dict("records"), key=lambda row: SPLITS.index(row["split"]))
    ]
    return Table("split", ["AUC for clicks", "AUC for exposure", "exposed items"], rows)


def _cell(estimate: Estimate | None, *, signed: bool = False) -> Cell:
    if estimate is None:
        return Cell(MISSING)
    return Cell(number(estimate.value, signed=signed), interval(estimate, signed=signed))
