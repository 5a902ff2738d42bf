"""Which requests train, choose and test models, and whose evaluator may learn from them."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from degre_pipeline.reranker.schema import EXTERNAL, MINING, TEST, TRAIN, VALIDATION

LEAVE_ONE_OUT = "leave_one_out"
_PARTS = 3
"""Requests of a user needed for one part each of train, validation and test."""

_NEEDED = (
    ("training", TRAIN, ((MINING,), (EXTERNAL,))),
    ("validation", VALIDATION, ((MINING,), (EXTERNAL,))),
    ("test", TEST, ((MINING, EXTERNAL),)),
)
"""The word for each split, and the roles of which it needs a request: each of them, or any of several."""


@dataclass(frozen=True)
class HeldOut:
    """How much of a log is not trained on.

    Attributes:
        validation_days: Days with requests before the test's, of `by_day`.
        test_days: Last days with requests, of `by_day`.
        validation_share: Share of requests before the test's in time, of `by_time`.
        test_share: Share of requests that are last in time, of `by_time`.
    """

    validation_days: int = 1
    test_days: int = 1
    validation_share: float = 0.1
    test_share: float = 0.1


def assign_splits(
    requests: pd.DataFrame,
    strategy: str,
    external_share: float,
    seed: int,
    held_out: HeldOut = HeldOut(),
) -> pd.DataFrame:
    """Returns `request_id`, `split` and `role` of every request, in the order of the requests.

    The role depends on the request id and the seed alone, so neither new requests nor another row order
    change it.

    Args:
        requests: The request log's table.
        strategy: "by_day": the last calendar days are test, those before them validation, earlier ones train.
            "by_time": likewise by shares of the requests, so that a split may begin within a day.
            "leave_one_out": each user's last request is test, the one before it validation; users with
            fewer than three requests only train.
        external_share: Share of requests whose role is "external", between 0 and 1.
        seed: Seed of the roles.
        held_out: How many days, or which share of the requests, are validation and test.
    Raises: ValueError if an argument is out of range, there are too few days, or a split is empty for one of
        the roles that need it.
    """
    if strategy not in STRATEGIES:
        raise ValueError(f"strategy is {strategy!r}, allowed is one of {sorted(STRATEGIES)}.")
    if not 0 < external_share < 1:
        raise ValueError(f"external_share is {external_share}, allowed is more than 0 and less than 1.")
    request_ids = requests["request_id"].to_numpy(dtype=np.int64)
    is_external = uniform_hash(request_ids, seed) < external_share
    splits = pd.DataFrame(
        {
            "request_id": request_ids,
            "split": STRATEGIES[strategy](requests.reset_index(drop=True), held_out),
            "role": np.where(is_external, EXTERNAL, MINING),
        }
    )
    _check_splits(splits, strategy, external_share)
    return splits


def uniform_hash(request_ids: NDArray[np.int64], seed: int) -> NDArray[np.float64]:
    """Returns a number from 0 to below 1 for each id, fixed by id and seed.

    Source: SplitMix64 (Steele, Lea and Flood, OOPSLA 2014), finalizer applied to seed and id in turn.
    """
    mixed_seed = _mix(np.array([seed % 2**64], dtype=np.uint64))
    mixed = _mix(request_ids.astype(np.uint64) ^ mixed_seed)
    return (mixed >> np.uint64(11)).astype(np.float64) / 2.0**53


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def first_and_last_day(requests: pd.DataFrame, request_ids: Iterable[int]) -> tuple[str, str]:
    """Returns the ISO dates of the first and the last of the given requests.

    Raises: ValueError: If none of them is in the request log's table.
    """
    times = requests.loc[requests["request_id"].isin(list(request_ids)), "requested_at"]
    if times.empty:
        raise ValueError("none of the requests is in table requests; allowed: one or more of its request_id")
    return times.min().date().isoformat(), times.max().date().isoformat()


def last_day(requests: pd.DataFrame) -> str:
    """Returns the ISO date of the last request of a log; a run's own date may be another."""
    return first_and_last_day(requests, requests["request_id"])[1]


def _split_by_day(requests: pd.DataFrame, held_out: HeldOut) -> NDArray[np.str_]:
    """Tests on the last calendar days that have requests, and validates on those before them."""
    days = requests["requested_at"].dt.normalize()
    known = np.sort(days.unique())
    first_test = len(known) - held_out.test_days
    first_validation = first_test - held_out.validation_days
    if first_validation < 1:
        needed = held_out.test_days + held_out.validation_days + 1
        raise ValueError(
            f"requests.requested_at covers {len(known)} day(s), {[str(day)[:10] for day in known]}, "
            f"strategy 'by_day' needs {needed} or more: give more days, or split: by_time."
        )
    return np.select([days >= known[first_test], days >= known[first_validation]], [TEST, VALIDATION], TRAIN)


def _split_by_time(requests: pd.DataFrame, held_out: HeldOut) -> NDArray[np.str_]:
    """Tests on the last share of requests, validates on the share before; those of one time stay together."""
    times = requests["requested_at"].to_numpy()
    in_time = np.sort(times)
    first_test = min(round(len(times) * (1 - held_out.test_share)), len(times) - 1)
    share = 1 - held_out.test_share - held_out.validation_share
    first_validation = min(round(len(times) * share), first_test)
    begins = times >= in_time[first_test], times >= in_time[first_validation]
    return np.select(list(begins), [TEST, VALIDATION], TRAIN)


def _split_leave_one_out(requests: pd.DataFrame, _: HeldOut) -> NDArray[np.str_]:
    """Tests on each user's last request by time, ties by request id, and validates on the one before it."""
    latest_first = requests.sort_values(["requested_at", "request_id"], ascending=False)
    later = latest_first.groupby("user_id").cumcount().reindex(requests.index)
    of_user = requests.groupby("user_id")["request_id"].transform("size")
    has_parts = of_user >= _PARTS
    return np.select([has_parts & (later == 0), has_parts & (later == 1)], [TEST, VALIDATION], TRAIN)


STRATEGIES: MappingProxyType[str, Callable[[pd.DataFrame, HeldOut], NDArray[np.str_]]] = MappingProxyType(
    {"by_day": _split_by_day, "by_time": _split_by_time, LEAVE_ONE_OUT: _split_leave_one_out}
)


def places_in_time(requests: pd.DataFrame, strategy: str) -> NDArray[np.int64]:
    """Returns the place of each request in the order in which a strategy divides them, [b], 0 for the first.

    By day and by time that is the order of their times. With `leave_one_out`, which says of every user what
    is earlier, it is the order of the share of the user's requests that lies before.
    """
    in_time = requests.reset_index(drop=True).sort_values(["requested_at", "request_id"])
    if strategy == LEAVE_ONE_OUT:
        of_user = in_time.groupby("user_id")["request_id"]
        before = (of_user.cumcount() + 0.5) / of_user.transform("size")
        in_time = in_time.loc[before.sort_values(kind="stable").index]
    places = np.empty(len(in_time), dtype=np.int64)
    places[in_time.index.to_numpy()] = np.arange(len(in_time))
    return places


def _check_splits(splits: pd.DataFrame, strategy: str, external_share: float) -> None:
    """Checks that every model has something to learn from, to be chosen by and to be judged on."""
    groups = splits.groupby(["split", "role"]).size().reset_index(name="requests")
    counts = Counter({(row.split, row.role): row.requests for row in groups.itertuples()})
    listed = ", ".join(f"{split} of {role} {count}" for (split, role), count in sorted(counts.items()))
    for word, split, roles in _NEEDED:
        for role in roles:
            if not sum(counts[split, one] for one in role):
                of_role = f" of role {role[0]!r}" if len(role) == 1 else ""
                raise ValueError(
                    f"The {word} split{of_role} has 0 of {len(splits)} requests "
                    f"(strategy {strategy!r}, external_share {external_share}), required is 1 or more; "
                    f"found: {listed}. Give more requests or another share, more validation_days or "
                    "test_days, or split: by_time."
                )


def learned_from(lists: pd.DataFrame) -> pd.Series:
    """Returns the ids of the requests that training has seen: validation chose the epoch to stop at."""
    return lists.loc[lists["split"] != TEST, "request_id"]
