"""One day of the simulated shop: requests, candidates, ranking scores, shown lists, clicks and purchases."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from degre_pipeline.simulation.click_world import ClickTruth, FloatArray, IntArray
from degre_pipeline.simulation.shop import CLIENTS, Shop

REQUESTS_PER_DAY_LIMIT = 1_000_000
"""A request's id is its day times this, plus its place in the day."""

_HOUR_WEIGHTS = np.array(
    [1, 1, 1, 1, 1, 1, 2, 4, 5, 5, 5, 6, 7, 6, 5, 5, 6, 7, 9, 11, 12, 10, 6, 3], dtype=float
)
_CLIENT_SHARES = (0.6, 0.3, 0.1)
_REQUESTS_PER_CHUNK = 2_000
_SHOWN_STREAM, _TOUCHED_STREAM = 4, 5


@dataclass(frozen=True, eq=False)
class DayLog:
    """What happened on one day, for r requests in the order of their time.

    Attributes:
        day: Ordinal of the date (`datetime.date.toordinal`).
        second_of_day: int64 [r], ascending.
        user: Index of the user, int64 [r].
        client: Index into `CLIENTS`, int64 [r].
        candidate_item: Indices of the candidate items, in the order handed over, int64 [r, n].
        touched: Whether the user has touched the candidate before, bool [r, n].
        ranking_score: Stand-alone logit of an untouched item plus noise, drawn anew for every candidate of
            every request, [r, n].
        explored: Whether a random list was shown, bool [r].
        exposed: Candidate indices of the shown list, int64 [r, t].
        clicks: int64 [r, t].
        conversions: Purchases, only where clicked, int64 [r, t].
        truth: What really drove the clicks.
    """

    day: int
    second_of_day: IntArray
    user: IntArray
    client: IntArray
    candidate_item: IntArray
    touched: NDArray[np.bool_]
    ranking_score: FloatArray
    explored: NDArray[np.bool_]
    exposed: IntArray
    clicks: IntArray
    conversions: IntArray
    truth: ClickTruth


def simulate_day(shop: Shop, day: int) -> DayLog:
    """Simulate a day from the shop's seed and the day alone.

    Args:
        shop: The world, as it is on that day.
        day: Ordinal of the date, at least 1.

    Raises: ValueError if the day is below 1.
    """
    if day < 1:
        raise ValueError(f"day is {day}; allowed are date ordinals from 1")
    config = shop.config
    rng = np.random.default_rng((config.seed, day))
    hour = rng.choice(24, size=config.requests_per_day, p=_HOUR_WEIGHTS / _HOUR_WEIGHTS.sum())
    user = rng.choice(config.users, size=config.requests_per_day, p=shop.user_activity)
    client = rng.choice(len(CLIENTS), size=config.requests_per_day, p=_CLIENT_SHARES)
    items = retrieve_candidates(shop, user, rng)
    logits = shop.stand_alone_logits(user[:, None], client[:, None], items).astype(np.float32)
    touched = touched_candidates(shop, day, items.shape)
    truth = click_truth(shop, day, logits + np.float32(config.touched_logit) * touched, items)
    scores = logits + config.ranking_noise * rng.standard_normal(items.shape)
    explored, exposed = choose_exposed(scores, shop, rng)
    clicks, conversions = _answers(shop, exposed, rng, truth=truth, user=user, items=items)
    return DayLog(
        day=day,
        second_of_day=np.sort(hour * 3600 + rng.integers(3600, size=len(hour))),
        user=user,
        client=client,
        candidate_item=items,
        touched=touched,
        ranking_score=scores,
        explored=explored,
        exposed=exposed,
        clicks=clicks,
        conversions=conversions,
        truth=truth,
    )


def shown_instead(shop: Shop, log: DayLog, lists: IntArray) -> DayLog:
    """Returns the day as it would have been with other lists, except where the shop explored.

    Args:
        shop: As it is on that day.
        log: Of the day.
        lists: Candidate indices, int64 [r, t].
    """
    rng = np.random.default_rng((shop.config.seed, log.day, _SHOWN_STREAM))
    exposed = np.where(log.explored[:, None], log.exposed, lists)
    clicks, conversions = _answers(
        shop, exposed, rng, truth=log.truth, user=log.user, items=log.candidate_item
    )
    return replace(log, exposed=exposed, clicks=clicks, conversions=conversions)


def _answers(
    shop: Shop,
    exposed: IntArray,
    rng: np.random.Generator,
    *,
    truth: ClickTruth,
    user: IntArray,
    items: IntArray,
) -> tuple[IntArray, IntArray]:
    """Returns clicks and purchases on shown lists, int64 [r, t] each."""
    clicked = (_chosen if shop.config.one_choice else _liked)(truth, exposed, rng)
    bought = clicked & (rng.random(exposed.shape) < purchase_probabilities(shop, user, items, exposed))
    return clicked.astype(np.int64), bought.astype(np.int64)


def _liked(truth: ClickTruth, exposed: IntArray, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Returns which shown items are clicked, [r, t], each for itself."""
    luck = rng.random(exposed.shape)
    # Only users who may leave draw a second time, so that the days of other worlds stay what they are.
    stay = rng.random(exposed.shape) if truth.world == "leaving" else np.zeros(exposed.shape)
    return truth.clicks(exposed, luck, stay)


def _chosen(truth: ClickTruth, exposed: IntArray, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Returns which shown item is clicked, [r, t]: the chosen candidate, as often as its slot lets it be."""
    probabilities = 1 / (1 + np.exp(-truth.stand_alone_logits.astype(np.float64)))
    choice = (probabilities.cumsum(1) < rng.random((len(exposed), 1))).sum(1, keepdims=True)
    alone = np.take_along_axis(probabilities, exposed, axis=1)
    seen = rng.random(exposed.shape) * alone < truth.click_probabilities(exposed[:, None])[:, 0]
    clicked: NDArray[np.bool_] = (exposed == choice) & seen
    return clicked


def touched_candidates(shop: Shop, day: int, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Returns which candidates, [r, n], their users have touched before: one of a request, or none."""
    rng = np.random.default_rng((shop.config.seed, _TOUCHED_STREAM, day))
    places = rng.integers(shape[1], size=(shape[0], 1))
    some = rng.random((shape[0], 1)) < shop.config.touched_share
    touched: NDArray[np.bool_] = some & (np.arange(shape[1]) == places)
    return touched


def retrieve_candidates(shop: Shop, user: IntArray, rng: np.random.Generator) -> IntArray:
    """Draw each user's candidate items without repetition, likelier where taste is higher, shuffled.

    Tastes concentrate the draw on a few categories, so that candidates of one category compete.
    """
    appeal = shop.config.retrieval_focus * shop.user_taste[:, shop.item_category]
    chunks = []
    for start in range(0, len(user), _REQUESTS_PER_CHUNK):
        wanted = appeal[user[start : start + _REQUESTS_PER_CHUNK]]
        keys = wanted + rng.gumbel(size=wanted.shape)
        best = np.argpartition(-keys, shop.config.candidates - 1, axis=1)[:, : shop.config.candidates]
        chunks.append(rng.permuted(best, axis=1))
    return np.concatenate(chunks)


def click_truth(shop: Shop, day: int, logits: FloatArray, items: IntArray) -> ClickTruth:
    """The click world of a day's requests, whose candidates have logits and items, [r, n]."""
    if shop.config.one_choice:
        logits = _logits_of_a_choice(logits.astype(np.float64)).astype(np.float32)
    return ClickTruth(
        request_id=day * REQUESTS_PER_DAY_LIMIT + np.arange(len(items), dtype=np.int64),
        stand_alone_logits=logits,
        categories=shop.item_category[items],
        complement_of=shop.complement_of,
        satiation=shop.config.satiation,
        complement_bonus=shop.config.complement_bonus,
        slot_penalty=shop.config.slot_penalty,
        world=shop.config.world,
        patience=shop.config.patience,
        interest=shop.config.interest,
    )


def _logits_of_a_choice(logits: FloatArray) -> FloatArray:
    """Returns the logit of each candidate's probability to be the one that is chosen, [r, n]."""
    worth = np.exp(logits - logits.max(1, keepdims=True))
    chosen: FloatArray = np.log(worth) - np.log(worth.sum(1, keepdims=True) - worth)
    return chosen


def choose_exposed(
    scores: FloatArray, shop: Shop, rng: np.random.Generator
) -> tuple[NDArray[np.bool_], IntArray]:
    """The logging policy: the best by noisy score, and for a share of requests a random list.

    Returns: Whether the list is a random one, [r], and its candidate indices, int64 [r, t].
    """
    noise = rng.gumbel(size=scores.shape)
    explores = rng.random((len(scores), 1)) < shop.config.exploration
    keys = np.where(explores, noise, scores + shop.config.logging_noise * noise)
    return explores[:, 0], np.argsort(-keys, axis=1)[:, : shop.config.list_length]


def purchase_probabilities(shop: Shop, user: IntArray, items: IntArray, exposed: IntArray) -> FloatArray:
    """Chance that a clicked item is bought, [r, t]: higher for liked categories, lower for dear items."""
    item = np.take_along_axis(items, exposed, axis=1)
    taste = shop.user_taste[user[:, None], shop.item_category[item]]
    dearness = shop.price_sensitivity[user[:, None]] * shop.item_relative_price[item]
    return 1.0 / (1.0 + np.exp(1.5 - 0.5 * taste + dearness))
