"""The figures of the study: one row for each subject, judge, seed and metric, and the same over all seeds."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from degre_pipeline.judging import names
from degre_pipeline.judging.evaluation_config import EvaluationConfig
from degre_pipeline.reranker.metrics import bootstrap, hits

ALL = "all"
"""The seed of a row that averages over seeds, with an interval over requests."""

Row = dict[str, Any]


def study_rows(judged: pd.DataFrame, data: str, first_arm: str, config: EvaluationConfig) -> list[Row]:
    """Returns rows {data, subject, judge, seed, metric, value}; those over all seeds have low and high, too.

    Metrics: `utility` in clicks, `over_ranking_order` and, of further arms, `over_first_arm`'s list of the
    same seed (both paired), `hr1`, `hr3`, `hr10`; with the truth as judge `regret_removed`, a share of what
    separates the ranking order from the best list; `optimism` of a judge: the miner's value over the judge's,
    less one; `hr1_below_teacher` of generators (paired).

    Args:
        judged: What `judged_lists` returned.
        data: Name of the data.
        first_arm: Its subjects go by their own names, those of other arms by `arm.subject`.
        config: Random lists, resamples and their seed.
    """
    figures = _figures(judged, first_arm, config)
    rows: list[Row] = []
    for (subject, judge, metric), part in figures.groupby(["subject", "judge", "metric"], sort=False):
        named = {"data": data, "subject": subject, "judge": judge}
        for seed, own in part.groupby("seed", sort=False):
            value = float(own["value"].mean() / own["over"].mean())
            rows.append({**named, "seed": int(str(seed)) if seed else None, "metric": metric, "value": value})
        by_request = part.groupby("request_id", sort=False)[["value", "over"]].mean()
        scaled = by_request["value"].to_numpy() / by_request["over"].mean()
        estimate = bootstrap(scaled, samples=config.bootstrap_samples, seed=config.seed)
        rows.append({**named, "seed": ALL, "metric": metric, **vars(estimate)})
    return rows


def _figures(judged: pd.DataFrame, first_arm: str, config: EvaluationConfig) -> pd.DataFrame:
    """Returns subject, judge, seed, metric, request_id, value and what its mean is divided by, `over`."""
    known = [first_arm, "reference"]
    own_name = judged["arm"].isin(known)
    named = judged.assign(
        subject=judged["subject"].where(own_name, judged["arm"] + "." + judged["subject"]),
        teacher=np.where(own_name, names.TEACHER, judged["arm"] + "." + names.TEACHER),
        first=judged["subject"].mask(own_name),
    )
    for percent, name in names.HIT_RATES.items():
        rank = named["rank"].to_numpy()
        hit = hits(np.nan_to_num(rank).astype(np.int64), config.comparison_lists, percent)
        named[name] = np.where(np.isnan(rank), np.nan, hit)
    parts = [_long(part, name) for name, part in _metrics(named)]
    found = pd.concat(parts, ignore_index=True)
    finite: pd.DataFrame = found[np.isfinite(found["value"])]
    return finite


def _metrics(named: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    yield names.UTILITY, named.assign(figure=named["value"])
    for name in names.HIT_RATES.values():
        yield name, named.assign(figure=named[name])
    of_request, keys = ["judge", "request_id"], ["judge", "seed", "request_id"]
    by_list = named.set_index(["subject", *keys])
    ranking = _column(named, names.RANKING_ORDER, "value", of_request)
    gain = named["value"] - ranking
    yield names.OVER_RANKING_ORDER, named.assign(figure=gain)[named["subject"] != names.RANKING_ORDER]
    of_first = by_list["value"].reindex(_index(named, ["first", *keys])).to_numpy()
    yield names.OVER_FIRST_ARM, named.assign(figure=named["value"] - of_first)[named["first"].notna()]
    best = _column(named, names.OPTIMUM, "value", of_request)
    yield names.REGRET_REMOVED, named.assign(figure=gain, over=best - ranking)[best.notna()]
    own = named[named["judge"] == names.MINING].set_index(["subject", "seed", "request_id"])["value"]
    believed = pd.Series(
        own.reindex(_index(named, ["subject", "seed", "request_id"])).to_numpy(), named.index
    )
    optimistic = named.assign(figure=believed - named["value"], over=named["value"])
    yield names.OPTIMISM, optimistic[named["judge"] != names.MINING]
    of_teacher = by_list[names.HR1].reindex(_index(named, [names.TEACHER, *keys])).to_numpy()
    generators = named["subject"].str.fullmatch(rf"(\w+\.)?{names.GENERATOR}")
    yield names.HR1_BELOW_TEACHER, named.assign(figure=of_teacher - named[names.HR1])[generators]


def _column(named: pd.DataFrame, subject: str, value: str, keys: list[str]) -> pd.Series:
    """Returns the values of one subject, which has no seeds, beside every row of the same keys."""
    known = named[named["subject"] == subject].set_index(keys)[value]
    return pd.Series(known.reindex(_index(named, keys)).to_numpy(), named.index)


def _index(named: pd.DataFrame, keys: list[str]) -> pd.MultiIndex:
    return pd.MultiIndex.from_frame(named[keys])


def _long(part: pd.DataFrame, metric: str) -> pd.DataFrame:
    over = part["over"] if "over" in part else pd.Series(1.0, part.index)
    columns = part[["subject", "judge", "seed", "request_id"]]
    return columns.assign(metric=metric, value=part["figure"], over=over)
