"""An experiment in the simulated shop: users are split between arms, and the true click model answers."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from degre_pipeline.reranker.checked_settings import check_types, require
from degre_pipeline.simulation.click_world import ClickTruth, FloatArray, IntArray
from degre_pipeline.simulation.shop import Shop
from degre_pipeline.simulation.shop_day import purchase_probabilities

ARMS = RANKING_ORDER, PRM, DEGRE = "ranking_order", "prm", "degre"
"""What users are shown: the ranking order, the order of PRM's scores, the lists of the served model."""

_HASH_VALUES = 1 << 64
_OUTCOME_STREAM = 1


@dataclass(frozen=True)
class ExperimentConfig:
    """How the experiment is run.

    Attributes:
        days: Days of traffic, which follow the run date.
        salt: Decides who is in which arm; another salt is another split.
        old_user_requests: Requests in the log that make a user an old one.
        bootstrap_samples: Resamples of users behind every interval.
        seed: Of clicks, orders and resamples.
    """

    days: int
    salt: str
    old_user_requests: int
    bootstrap_samples: int
    seed: int

    def __post_init__(self) -> None:
        check_types(self)
        require(self.days >= 1, "days", self.days, "1 or more")
        require(self.old_user_requests >= 0, "old_user_requests", self.old_user_requests, "0 or more")


class Outcomes(NamedTuple):
    """What came of shown lists; a click is 1, an order is 1, revenue is in currency units, [r, t] each."""

    clicks: IntArray
    orders: IntArray
    revenue: FloatArray


def arm_of(user_id: object, salt: str, arms: Sequence[str] = ARMS) -> str:
    """Returns a user's arm: the same on every day, on every machine and in any order of asking.

    The arms share the users equally, up to chance.
    """
    digest = hashlib.sha256(f"{salt}\0{user_id}".encode()).digest()
    return arms[int.from_bytes(digest[:8], "big") * len(arms) // _HASH_VALUES]


def draw_outcomes(
    shop: Shop, truth: ClickTruth, user: IntArray, item: IntArray, shown: IntArray, *, seed: int
) -> Outcomes:
    """Returns what users do with the lists that they are shown.

    Chance is drawn for every slot of every request, whatever is shown there: two experiments that differ in
    one list differ in what comes of that list alone.

    Args:
        shop: Knows who buys what.
        truth: The true click model of the requests.
        user: Index of each request's user, [r].
        item: Indices of the candidate items, [r, n].
        shown: Candidate indices of the shown list, [r, t]; -1 for empty slots, at the end.
        seed: Of this experiment; the shop's own seed decides about the world, not about the answers.
    Raises: ValueError: As `ClickTruth.click_probabilities` does.
    """
    rng = np.random.default_rng((seed, _OUTCOME_STREAM))
    luck, purse, stay = (rng.random(shown.shape) for _ in range(3))
    placed = np.maximum(shown, 0)
    clicks = truth.clicks(shown, luck, stay)
    orders = clicks & (purse < purchase_probabilities(shop, user, item, placed))
    price = shop.item_price[np.take_along_axis(item, placed, axis=1)]
    return Outcomes(clicks.astype(np.int64), orders.astype(np.int64), np.where(orders, price, 0.0))
