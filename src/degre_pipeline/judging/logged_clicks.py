"""What the logged clicks of test requests say of every subject's lists, beside what judges say."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from degre_pipeline.reranker.batching import Requests
from degre_pipeline.reranker.configs import EvaluationConfig
from degre_pipeline.reranker.metrics import Array, Estimate, bootstrap, bootstrap_ratio
from degre_pipeline.reranker.replay import (
    click_metrics,
    click_weights,
    examination,
    order_gains,
    places_among_shown,
    places_of_shown,
    rate_order,
    supported_share,
    weighted_click_metrics,
)
from degre_pipeline.reranker.schema import RANKING_SCORE, FieldSize
from degre_pipeline.reranker.support import score_ranks, varies

JUDGE = "logged_clicks"
WEIGHTED = "weighted_clicks"
RANDOMIZED = "randomized_clicks"
LEAST_PLACEMENT = 0.005
"""Share of requests that must show a rank in a slot, for the log to support an item of that rank there."""
MOST_LEARNED = 50_000
"""Training requests from which the best single feature is chosen."""

Row = dict[str, Any]


def floor_lists(
    requests: Requests, log: Requests, sizes: Sequence[FieldSize], item_codes: tuple[Tensor, Tensor]
) -> dict[str, Tensor]:
    """Returns the simplest lists: by the click rate of an item, and by that of the best single feature.

    The feature is the one whose click rates order the logged clicks of training requests best. Ties, such as
    between all items that the user has not seen, keep the ranking order.

    Args:
        requests: Test requests.
        log: Training requests.
        sizes: Of the fields.
        item_codes: A number for the item of every candidate of the test and of the training requests, [b, n].
    """
    lists = {"item_mean": rate_order(item_codes[0], requests, item_codes[1], log)}
    few = log.select(slice(0, MOST_LEARNED))
    found: dict[str, float] = {}
    columns = _candidate_columns(sizes)
    for name, column in columns.items():
        codes = few.candidates[..., column]
        order = rate_order(codes, few, codes, few)
        found[name] = float(np.nanmean(click_metrics(places_among_shown(order, few), few.clicks)["ndcg"]))
    if found:
        best = max(found, key=lambda name: found[name])
        column = columns[best]
        lists[f"by_{best}"] = rate_order(
            requests.candidates[..., column], requests, log.candidates[..., column], log
        )
    return lists


def _candidate_columns(sizes: Sequence[FieldSize]) -> dict[str, int]:
    """Returns the index column of every candidate field of one value, but of the ranking score."""
    columns, start = {}, 0
    for size in sizes:
        if size.per_candidate:
            if size.columns == 1 and size.name != RANKING_SCORE:
                columns[size.name] = start
            start += size.columns
    return columns


def logged_click_rows(
    lists: Mapping[str, Tensor],
    requests: Requests,
    log: Requests,
    randomized: Tensor,
    config: EvaluationConfig,
) -> list[Row]:
    """Returns what logged clicks say of lists as rows {subject, judge, metric, value, low, high}.

    `logged_clicks` counts clicks as they are, which favours the shown order. `weighted_clicks` counts each
    the more, the more rarely its rank was shown and its slot looked at; only where slots vary.
    `randomized_clicks` are those of requests that the log marks as shown at random. `order_over_shown` is
    NDCG of the shown items alone, put in a list's order, less that of the order in which they were shown;
    weighted where slots vary.

    Args:
        lists: By subject, [b, L] candidate indices; -1 in empty slots.
        requests: b test requests.
        log: Training requests, from which examination and placements are learned.
        randomized: Whether a request was shown a random list, [b].
        config: `bootstrap_samples` and `seed`.
    """
    if not bool((requests.clicks > 0).any()):
        return []
    varied = varies(log)
    examined = examination(log) if varied else np.ones(requests.list_length)
    rows = [
        _row("log", JUDGE, f"examination_{slot:02d}", Estimate(float(one), np.nan, np.nan))
        for slot, one in enumerate(examined, start=1)
        if varied
    ]
    weights = click_weights(requests, log, examined)
    for subject, own in lists.items():
        places = places_of_shown(own, requests)
        figures = click_metrics(places, requests.clicks)
        rows += [_row(subject, JUDGE, name, _mean(one, config)) for name, one in figures.items()]
        if varied:
            earned, total = weighted_click_metrics(places, requests.clicks, weights)
            rows += [
                _row(subject, WEIGHTED, name, _ratio(one, total, config)) for name, one in earned.items()
            ]
        if bool((requests.clicks[randomized] > 0).any()):
            at_random = randomized.numpy()
            rows += [
                _row(subject, RANDOMIZED, name, _mean(one[at_random], config))
                for name, one in figures.items()
            ]
        if subject != "exposed":
            gain = _order_over_shown(
                own, requests, torch.as_tensor(1 / np.clip(examined, 0.02, None)), config
            )
            rows.append(_row(subject, JUDGE, "order_over_shown", gain))
        share = supported_share(own, requests, log, LEAST_PLACEMENT)
        rows.append(_row(subject, JUDGE, "supported_slots", _mean(share, config)))
        rows.append(_row(subject, JUDGE, "moved_slots", _mean(_moved(own, requests), config)))
    return rows


def _order_over_shown(
    lists: Tensor, requests: Requests, weights: Tensor, config: EvaluationConfig
) -> Estimate:
    """Returns the gain in DCG of the shown items' clicks by a list's order, over the sum of their weights."""
    return _ratio(*order_gains(lists, requests, weights), config)


def _moved(lists: Tensor, requests: Requests) -> Array:
    """Returns the share of a list's slots with another item than the ranking order's, by request, [b]."""
    filled = lists >= 0
    ranks = score_ranks(requests).gather(1, lists.clamp(min=0))
    moved = (ranks != torch.arange(lists.shape[1])) & filled
    share: Array = (moved.sum(1) / filled.sum(1).clamp(min=1)).double().numpy()
    return share


def _mean(values: Array, config: EvaluationConfig) -> Estimate:
    return bootstrap(values, samples=config.bootstrap_samples, seed=config.seed)


def _ratio(earned: Array, total: Array, config: EvaluationConfig) -> Estimate:
    return bootstrap_ratio(earned, total, samples=config.bootstrap_samples, seed=config.seed)


def _row(subject: str, judge: str, metric: str, estimate: Estimate) -> Row:
    low, high = (None if np.isnan(one) else one for one in (estimate.low, estimate.high))
    return {
        "subject": subject,
        "judge": judge,
        "metric": metric,
        "value": estimate.value,
        "low": low,
        "high": high,
    }


def shown_at_random(requests: pd.DataFrame, chosen: Requests) -> Tensor:
    """Returns which requests the log marks as shown at random, in a column `randomized`, [b]."""
    if "randomized" not in requests:
        return torch.zeros(len(chosen), dtype=torch.bool)
    marks = requests.set_index("request_id")["randomized"].reindex(chosen.request_id.numpy())
    return torch.from_numpy(marks.fillna(False).to_numpy(bool, copy=True))


def item_codes(lists: pd.DataFrame, requests: Requests) -> Tensor:
    """Returns a number for the item of every candidate, [b, n], 0 where there is none.

    Args:
        lists: All requests as a table, with request_id and candidate_item_ids.
        requests: Encoded ones of them.
    """
    ids = lists.set_index("request_id").loc[requests.request_id.numpy(), "candidate_item_ids"]
    known = pd.Index(np.unique(np.concatenate(lists["candidate_item_ids"].to_list())))
    codes = np.zeros(requests.mask.shape, dtype=np.int64)
    codes[requests.mask.numpy()] = known.get_indexer(np.concatenate(ids.to_list())) + 1
    return torch.from_numpy(codes)
