"""Settings of the gate."""

import math
from dataclasses import dataclass
from typing import Literal

from degre_pipeline.reranker.checked_settings import check_types, require, require_choice

Sufficient = Literal["non_inferior", "superior"]
Promotes = Literal["always", "first", "never"]


@dataclass(frozen=True, kw_only=True)
class GateConfig:
    """What a challenger must show. Shares are of the champion's mean clicks a list.

    Attributes:
        requests: Test requests of the slice, drawn at random; 0 takes all.
        least_requests: Requests that a comparison needs at least to say anything.
        least_users: Users that these requests must come from, because requests of one user are alike.
        pcoc_low: Least predicted over observed clicks of the evaluators.
        pcoc_high: Most predicted over observed clicks of the evaluators.
        least_hr1: Least HR@1% of the challenger by every independent judge.
        least_gain: Least gain in clicks over the ranking order and over the shown lists, for the lower end of
            its interval.
        least_support: Least share of the challenger's slots whose item's rank the log shows there; below it,
            the logged clicks must speak for its order.
        replay_margin: What the logged clicks may lose in NDCG by the challenger's order of the shown items.
        most_optimism: Most that the miner may expect of mined lists beyond an independent judge, as a share.
        least_over_random: Least clicks a list by which a judge must value shown lists above random ones.
        non_inferiority_margin: Share of clicks that the challenger may lose.
        sufficient: What the challenger must be to be promoted: `non_inferior` or `superior`.
        superiority_looks: Gates among which a gain may be claimed falsely once in forty times, where a gain
            is asked for; 30 are a month of daily ones.
        reference_days: Days back in which the best champion is looked for, so that many small losses do not
            add up; 0 compares with the champion alone.
        reference_margin: Share of the best champion's clicks that the challenger may lose.
        guardrail_margin: Share of clicks that it may lose for new or for old users.
        old_user_requests: A user with fewer requests in training than these is new.
        latency_ratio: Most that its median latency may be, in multiples of the champion's.
        latency_requests: Requests that are timed, one by one, for each of the two.
        size_ratio: Most that its files may take, in multiples of the champion's.
        promotes: When a passing challenger becomes the champion by itself: `always`, `first` (only while
            there is no champion) or `never`.
        bootstrap_samples: Resamples of users behind every interval.
        batch_size: Requests valued together.
        device: As in `TrainingConfig`; of the judges.
        seed: Of the draw of requests and resamples.
    """

    requests: int
    least_requests: int
    least_users: int
    pcoc_low: float
    pcoc_high: float
    least_hr1: float
    least_gain: float
    least_support: float
    replay_margin: float
    most_optimism: float
    least_over_random: float
    non_inferiority_margin: float
    sufficient: Sufficient
    superiority_looks: int
    reference_days: int
    reference_margin: float
    guardrail_margin: float
    old_user_requests: int
    latency_ratio: float
    latency_requests: int
    size_ratio: float
    promotes: Promotes
    bootstrap_samples: int
    batch_size: int
    device: str
    seed: int

    def __post_init__(self) -> None:
        check_types(self)
        require(self.requests >= 0, "requests", self.requests, "0 (all) or more")
        for name in (
            "least_requests",
            "least_users",
            "superiority_looks",
            "old_user_requests",
            "latency_requests",
            "batch_size",
        ):
            require(getattr(self, name) >= 1, name, getattr(self, name), "1 or more")
        require(self.reference_days >= 0, "reference_days", self.reference_days, "0 (none) or more")
        margins = ("non_inferiority_margin", "reference_margin", "guardrail_margin")
        for name in ("pcoc_low", "least_hr1", "least_support", *margins):
            require(0 <= getattr(self, name) <= 1, name, getattr(self, name), "0 to 1")
        require(self.pcoc_high >= 1, "pcoc_high", self.pcoc_high, "1 or more")
        require(math.isfinite(self.least_gain), "least_gain", self.least_gain, "a finite number")
        for name in ("latency_ratio", "size_ratio"):
            require(getattr(self, name) > 0, name, getattr(self, name), "above 0")
        require_choice("sufficient", self.sufficient, Sufficient)
        require_choice("promotes", self.promotes, Promotes)
