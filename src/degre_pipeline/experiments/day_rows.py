"""True clicks of a day's lists, beside those of the ranking order and of the best possible lists."""

from collections.abc import Mapping
from datetime import date

import numpy as np
import pandas as pd

from degre_pipeline.experiments.served_lists import CHAMPION, FROZEN, Served
from degre_pipeline.judging.names import RANKING_ORDER, REGRET_REMOVED
from degre_pipeline.reranker.metrics import bootstrap
from degre_pipeline.simulation.click_world import FloatArray, IntArray
from degre_pipeline.simulation.optimum import best_lists
from degre_pipeline.simulation.shop_day import DayLog

BEST, GAIN = "best", "champion_over_frozen"


def figures_of(day: date, log: DayLog, served: Mapping[str, Served], samples: int, seed: int) -> pd.DataFrame:
    """Returns day, subject, version, clicks (true, a request), low, high and regret_removed.

    Regret is the distance from the ranking order to the best lists. `champion_over_frozen` is the paired
    difference.

    Args:
        day: Of the log.
        log: Of the day, with the truth of its requests.
        served: Lists of the champions, if there were any.
        samples: Resamples behind every interval.
        seed: Of the resamples.
    """
    length = log.exposed.shape[1]
    worth: dict[str, FloatArray] = {
        RANKING_ORDER: _worth(log, np.argsort(-log.ranking_score, axis=1, kind="stable")[:, :length]),
        BEST: best_lists(log.truth, length)[1],
        **{name: _worth(log, model.lists) for name, model in served.items()},
    }
    if served:
        worth[GAIN] = worth[CHAMPION] - worth[FROZEN]
    base, regret = worth[RANKING_ORDER].mean(), (worth[BEST] - worth[RANKING_ORDER]).mean()
    rows = []
    for subject, values in worth.items():
        mean = bootstrap(values, samples=samples, seed=seed)
        removed = np.nan if subject == GAIN else (mean.value - base) / regret
        version = served[subject].version if subject in served else None
        rows.append((str(day), subject, version, mean.value, mean.low, mean.high, removed))
    columns = ["day", "subject", "version", "clicks", "low", "high", REGRET_REMOVED]
    return pd.DataFrame(rows, columns=columns).astype({"version": "Int64"})


def _worth(log: DayLog, lists: IntArray) -> FloatArray:
    return log.truth.utility(lists[:, None])[:, 0]
