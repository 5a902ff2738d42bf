"""How much higher the miner values lists than the judges that did not choose them."""

import numpy as np
import pandas as pd

from degre_pipeline.judging import names
from degre_pipeline.judging.diagnostics.diagnostic_rows import MINER, Row, estimated, row
from degre_pipeline.judging.evaluation_config import EvaluationConfig
from degre_pipeline.judging.judges import Values
from degre_pipeline.reranker.metrics import Estimate

DECILES = 10
IN_DETAIL = (names.BEAM, names.EXPOSED)
"""Mined lists, and beside them exposed lists, the kind that the miner learned from."""


def optimism_rows(judgements: pd.DataFrame, config: EvaluationConfig) -> list[Row]:
    """Returns the miner's value less each other judge's: of all lists, by decile of it and by slot.

    Args:
        judgements: request_id, subject, judge, value and slot_values of every list.
        config: Of the intervals.
    Returns: `optimism` in clicks a list, `optimism_share` of what the judge expects; in detail, for the
        subjects `IN_DETAIL`, `optimism_by_decile` from the lowest values and `optimism_by_slot`.
    """
    other_judges = [judge for judge in judgements["judge"].unique() if judge != MINER]
    rows: list[Row] = []
    for subject, subject_judgements in judgements.sort_values("request_id").groupby("subject", sort=False):
        by_judge = dict(list(subject_judgements.groupby("judge")))
        for judge in other_judges:
            rows += _of_lists(str(subject), judge, by_judge[MINER], by_judge[judge], config)
    return rows


def _of_lists(
    subject: str, judge: str, mining: pd.DataFrame, judged: pd.DataFrame, config: EvaluationConfig
) -> list[Row]:
    expected, value = (part["value"].to_numpy(float) for part in (mining, judged))
    above = expected - value
    rows = estimated(names.OPTIMISM, subject, judge, above, config)
    if value.mean() > 0:
        share = Estimate(float(above.mean() / value.mean()), np.nan, np.nan)
        rows.append(row(names.OPTIMISM_SHARE, subject, judge, share))
    if subject in IN_DETAIL:
        for at, group in enumerate(deciles(expected), start=1):
            rows += estimated(names.OPTIMISM_BY_DECILE, subject, judge, above[group], config, at=at)
        slots = _slot_values(mining) - _slot_values(judged)
        for at, values in enumerate(slots.T, start=1):
            rows += estimated(names.OPTIMISM_BY_SLOT, subject, judge, values, config, at=at)
    return rows


def deciles(values: Values) -> list[np.ndarray]:
    """Returns the positions of ten groups of equal size, the lowest values first; fewer for few values."""
    return np.array_split(np.argsort(values, kind="stable"), min(DECILES, len(values)))


def _slot_values(judged: pd.DataFrame) -> Values:
    return np.stack(judged["slot_values"].to_list())
