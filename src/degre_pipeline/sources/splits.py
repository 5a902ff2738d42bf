"""Which requests train, choose and test models, and whose evaluator may learn from them."""

from collections.abc import Callable, Iterable
from types import MappingProxyType

import numpy as np
import pandas as pd
from numpy.typing import NDArray

TRAIN, VALIDATION, TEST = "train", "validation", "test"
MINING, EXTERNAL = "mining", "external"

_PARTS = 3
"""Days, or requests of a user, needed for one part each of train, validation and test."""


def assign_splits(requests: pd.DataFrame, strategy: str, external_share: float, seed: int) -> pd.DataFrame:
    """Returns `request_id`, `split` and `role` of every request, in the order of the requests.

    The role depends on the request id and the seed alone, so neither new requests nor another row order
    change it.

    Args:
        requests: The request log's table.
        strategy: "by_day": the last calendar day is test, the day before it validation, earlier ones train.
            "leave_one_out": each user's last request is test, the one before it validation; users with
            fewer than three requests only train.
        external_share: Share of requests whose role is "external", between 0 and 1.
        seed: Seed of the roles.
    Raises: ValueError if an argument is out of range, there are fewer than three days, or the training split
        is empty for one of the roles.
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
            "split": STRATEGIES[strategy](requests.reset_index(drop=True)),
            "role": np.where(is_external, EXTERNAL, MINING),
        }
    )
    _check_training(splits, strategy, external_share)
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
    asked = requests.loc[requests["request_id"].isin(list(request_ids)), "requested_at"]
    if asked.empty:
        raise ValueError("none of the requests is in table requests; allowed: one or more of its request_id")
    return asked.min().date().isoformat(), asked.max().date().isoformat()


def _split_by_day(requests: pd.DataFrame) -> NDArray[np.str_]:
    """Tests on the last calendar day that has requests, and validates on the one before it."""
    days = requests["requested_at"].dt.normalize()
    known = np.sort(days.unique())
    if len(known) < _PARTS:
        raise ValueError(
            f"requests.requested_at covers {len(known)} day(s), {[str(day)[:10] for day in known]}, "
            f"strategy 'by_day' needs {_PARTS} or more."
        )
    return np.select([days == known[-1], days == known[-2]], [TEST, VALIDATION], TRAIN)


def _split_leave_one_out(requests: pd.DataFrame) -> NDArray[np.str_]:
    """Tests on each user's last request by time, ties by request id, and validates on the one before it."""
    latest_first = requests.sort_values(["requested_at", "request_id"], ascending=False)
    later = latest_first.groupby("user_id").cumcount().reindex(requests.index)
    of_user = requests.groupby("user_id")["request_id"].transform("size")
    has_parts = of_user >= _PARTS
    return np.select([has_parts & (later == 0), has_parts & (later == 1)], [TEST, VALIDATION], TRAIN)


STRATEGIES: MappingProxyType[str, Callable[[pd.DataFrame], NDArray[np.str_]]] = MappingProxyType(
    {"by_day": _split_by_day, "leave_one_out": _split_leave_one_out}
)


def _check_training(splits: pd.DataFrame, strategy: str, external_share: float) -> None:
    """Checks that both evaluators have something to learn from."""
    counts = splits.loc[splits["split"] == TRAIN, "role"].value_counts()
    for role in (MINING, EXTERNAL):
        if counts.get(role, 0) == 0:
            raise ValueError(
                f"The training split of role {role!r} has 0 of {len(splits)} requests "
                f"(strategy {strategy!r}, external_share {external_share}), "
                "required is 1 or more: add requests or change the share."
            )
