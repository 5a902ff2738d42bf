"""What the logged clicks of test requests say of every subject's lists, beside what judges say."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from degre_pipeline.judging import names
from degre_pipeline.judging.evaluation_config import EvaluationConfig
from degre_pipeline.reranker.metrics import Array, Estimate, bootstrap, bootstrap_ratio
from degre_pipeline.reranker.replay import (
    LEAST_PROPENSITY,
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
from degre_pipeline.reranker.requests import Requests
from degre_pipeline.reranker.schema import RANKING_SCORE, FieldSize
from degre_pipeline.reranker.support import score_ranks, varies

LEAST_PLACEMENT = 0.005
"""Share of requests that must show a rank in a slot, for the log to support an item of that rank there."""
MOST_LEARNED = 50_000
"""Training requests from which the best single feature is chosen."""


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
    lists = {names.ITEM_MEAN: rate_order(item_codes[0], requests, item_codes[1], log)}
    sample = log.select(slice(0, MOST_LEARNED))
    found: dict[str, float] = {}
    columns = _candidate_columns(sizes)
    for name, column in columns.items():
        codes = sample.candidates[..., column]
        order = rate_order(codes, sample, codes, sample)
        found[name] = float(
            np.nanmean(click_metrics(places_among_shown(order, sample), sample.clicks)[names.NDCG])
        )
    if found:
        best = max(found, key=lambda name: found[name])
        column = columns[best]
        lists[names.BY_FEATURE + best] = rate_order(
            requests.candidates[..., column], requests, log.candidates[..., column], log
        )
    return lists


def _candidate_columns(sizes: Sequence[FieldSize]) -> dict[str, int]:
    """Returns the index column of every single-valued candidate field except the ranking score."""
    columns, start = {}, 0
    for size in sizes:
        if size.per_candidate:
            if size.columns == 1 and size.name != RANKING_SCORE:
                columns[size.name] = start
            start += size.columns
    return columns


@dataclass(frozen=True)
class LoggedRequests:
    """Test requests with their users, and which of them were shown a random list.

    Attributes:
        requests: b requests.
        users: A number for the user of each, [b]; intervals draw users again, not requests.
        randomized: Whether a request was shown a random list, [b].
    """

    requests: Requests
    users: NDArray[np.int64]
    randomized: NDArray[np.bool_]


def logged_click_rows(
    lists: Mapping[str, Tensor], logged: LoggedRequests, log: Requests, config: EvaluationConfig
) -> list[names.Row]:
    """Returns what logged clicks say of lists as rows {subject, judge, metric, value, low, high}.

    `logged_clicks` counts clicks as they are, which favours the shown order. `weighted_clicks` gives a click
    more weight where its rank was rarely shown and its slot rarely looked at; only where slots vary.
    `randomized_clicks` are those of requests that the log marks as shown at random. `order_over_shown` is
    NDCG of the shown items alone, put in a list's order, less the NDCG of the order that was shown; weighted
    where slots vary. `supported_slots` is the share of a list's slots in which the log shows items of the
    same rank, `moved_slots` the share that holds another item than the ranking order.

    Args:
        lists: By subject, [b, L] candidate indices; -1 in empty slots.
        logged: b test requests.
        log: Training requests, from which examination and placements are learned.
        config: `bootstrap_samples` and `seed`.
    """
    if not bool((logged.requests.clicks > 0).any()):
        return []
    varied = varies(log)
    examined = examination(log) if varied else np.ones(logged.requests.list_length)
    weights = click_weights(logged.requests, log, examined) if varied else None
    replay = _Replay(logged, log, examined, weights, config)
    rows = [
        _row(
            names.LOG,
            names.LOGGED_CLICKS,
            f"{names.EXAMINATION}{slot:02d}",
            Estimate(float(one), np.nan, np.nan),
        )
        for slot, one in enumerate(examined, start=1)
        if varied
    ]
    for subject, sequences in lists.items():
        rows += [_row(subject, *named) for named in replay.figures(sequences, shown=subject == names.EXPOSED)]
    return rows


@dataclass(frozen=True)
class _Replay:
    """The logged clicks of some requests, and how much each counts."""

    logged: LoggedRequests
    log: Requests
    examined: Array
    weights: Tensor | None
    config: EvaluationConfig

    def figures(self, lists: Tensor, *, shown: bool) -> Iterator[tuple[str, str, Estimate]]:
        """Yields judge, metric and figure of one subject's lists."""
        requests, at_random = self.logged.requests, self.logged.randomized
        places = places_of_shown(lists, requests)
        counted = click_metrics(places, requests.clicks)
        for name, values in counted.items():
            yield names.LOGGED_CLICKS, name, self._mean(values)
        if self.weights is not None:
            earned, total = weighted_click_metrics(places, requests.clicks, self.weights)
            for name, values in earned.items():
                yield names.WEIGHTED_CLICKS, name, self._ratio(values, total)
        if np.isfinite(counted[names.MRR][at_random]).any():
            for name, values in counted.items():
                yield names.RANDOMIZED_CLICKS, name, self._mean(np.where(at_random, values, np.nan))
        if not shown:
            by_slot = torch.as_tensor(1 / np.clip(self.examined, LEAST_PROPENSITY, None))
            yield (
                names.LOGGED_CLICKS,
                names.ORDER_OVER_SHOWN,
                self._ratio(*order_gains(lists, requests, by_slot)),
            )
        share = supported_share(lists, requests, self.log, LEAST_PLACEMENT)
        yield names.LOGGED_CLICKS, names.SUPPORTED_SLOTS, self._mean(share)
        yield names.LOGGED_CLICKS, names.MOVED_SLOTS, self._mean(_moved(lists, requests))

    def _mean(self, values: Array) -> Estimate:
        samples, seed = self.config.bootstrap_samples, self.config.seed
        return bootstrap(values, units=self.logged.users, samples=samples, seed=seed)

    def _ratio(self, earned: Array, total: Array) -> Estimate:
        samples, seed = self.config.bootstrap_samples, self.config.seed
        return bootstrap_ratio(earned, total, units=self.logged.users, samples=samples, seed=seed)


def _moved(lists: Tensor, requests: Requests) -> Array:
    """Returns the share of a list's slots with another item than the ranking order's, by request, [b]."""
    filled = lists >= 0
    ranks = score_ranks(requests).gather(1, lists.clamp(min=0))
    moved = (ranks != torch.arange(lists.shape[1])) & filled
    share: Array = (moved.sum(1) / filled.sum(1).clamp(min=1)).double().numpy()
    return share


def _row(subject: str, judge: str, metric: str, estimate: Estimate) -> names.Row:
    low, high = (None if np.isnan(one) else one for one in (estimate.low, estimate.high))
    return names.figure_row(subject, judge, metric, value=estimate.value, low=low, high=high)


def logged_requests(lists: pd.DataFrame, requests: pd.DataFrame, chosen: Requests) -> LoggedRequests:
    """Returns test requests with their users, and with the mark of a random list where the log has one.

    Args:
        lists: All requests as a table, with request_id and user_id.
        requests: The table of requests, with a column `randomized` or without.
        chosen: The test requests, encoded.
    """
    ids = chosen.request_id.numpy()
    marks = np.zeros(len(chosen), dtype=np.bool_)
    if "randomized" in requests:
        marked = requests.set_index("request_id")["randomized"].reindex(ids).fillna(value=False)
        marks = np.array(marked.tolist(), dtype=np.bool_)
    return LoggedRequests(chosen, users_of(lists, chosen), marks)


def users_of(lists: pd.DataFrame, chosen: Requests) -> NDArray[np.int64]:
    """Returns a number for the user of every request, [b].

    Args:
        lists: All requests as a table, with request_id and user_id.
        chosen: The wanted requests, encoded.
    """
    users = lists.set_index("request_id").loc[chosen.request_id.numpy(), "user_id"]
    numbers: NDArray[np.int64] = pd.factorize(users)[0].astype(np.int64)
    return numbers


def item_codes(lists: pd.DataFrame, requests: Requests) -> Tensor:
    """Returns a number for the item of every candidate, [b, n], 0 where there is none.

    Args:
        lists: All requests as a table, with request_id and candidate_item_ids.
        requests: The wanted requests, encoded.
    """
    ids = lists.set_index("request_id").loc[requests.request_id.numpy(), "candidate_item_ids"]
    known = pd.Index(np.unique(np.concatenate(lists["candidate_item_ids"].to_list())))
    codes = np.zeros(requests.mask.shape, dtype=np.int64)
    codes[requests.mask.numpy()] = known.get_indexer(np.concatenate(ids.to_list())) + 1
    return torch.from_numpy(codes)
