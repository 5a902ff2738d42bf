"""The rows of the table of diagnostics, each a mean over requests with its interval."""

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from degre_pipeline.judging import names
from degre_pipeline.judging.evaluation_config import EvaluationConfig
from degre_pipeline.judging.judges import Values
from degre_pipeline.reranker.metrics import Estimate, bootstrap

COLUMNS = ("diagnostic", "subject", "judge", "at", "value", "low", "high")
Row = dict[str, object]
MINER = names.MINING
"""The judge that guided the search."""


def table_of(rows: Iterable[Row]) -> pd.DataFrame:
    """Returns the rows as a table of `COLUMNS`; `at` is missing where a figure has no place."""
    table = pd.DataFrame(list(rows), columns=list(COLUMNS))
    return table.astype({"at": float, "value": float, "low": float, "high": float})


def estimated(
    diagnostic: str,
    subject: str,
    judge: str,
    values: Values,
    config: EvaluationConfig,
    *,
    at: float = math.nan,
) -> list[Row]:
    """Returns the row of a mean over requests, [b], with its interval; none where nothing is known."""
    if not np.isfinite(values).any():
        return []
    estimate = bootstrap(values, samples=config.bootstrap_samples, seed=config.seed)
    return [row(diagnostic, subject, judge, estimate, at=at)]


def row(diagnostic: str, subject: str, judge: str, estimate: Estimate, *, at: float = math.nan) -> Row:
    """Returns one row of the table."""
    return {"diagnostic": diagnostic, "subject": subject, "judge": judge, "at": at, **vars(estimate)}


def rows_along(
    place: str, places: Sequence[float], values: Mapping[str, Values], config: EvaluationConfig
) -> list[Row]:
    """Returns value and optimism of the best mined lists by beam size or by epoch.

    Args:
        place: `beam_size` or `epoch`; ends the names of the diagnostics.
        places: The beam sizes or epochs, [m].
        values: By judge, the value of each request's best list at each place, [b, m]; also by the miner.
        config: Of the intervals.
    """
    rows: list[Row] = []
    for column, at in enumerate(places):
        for judge, judged in values.items():
            judge_values = judged[:, column]
            rows += estimated(names.VALUE_BY + place, names.BEAM, judge, judge_values, config, at=at)
            if judge != MINER:
                above = values[MINER][:, column] - judge_values
                rows += estimated(names.OPTIMISM_BY + place, names.BEAM, judge, above, config, at=at)
    return rows
