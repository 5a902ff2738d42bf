"""Says which requests make each split, and what is odd about it."""

from collections.abc import Iterator

import pandas as pd

from degre_pipeline.sources.splits import TEST, TRAIN, VALIDATION

_FEW = 0.1
"""A held-out day is nearly empty below this share of the median day's requests."""


def describe_splits(requests: pd.DataFrame, splits: pd.DataFrame) -> Iterator[str]:
    """Yields a line for each split: its requests, its roles and its times."""
    timed = requests[["request_id", "requested_at"]].merge(splits, on="request_id")
    for split in (TRAIN, VALIDATION, TEST):
        part = timed[timed["split"] == split]
        roles = ", ".join(f"{count:,} {role}" for role, count in part["role"].value_counts().items())
        first, last = part["requested_at"].min(), part["requested_at"].max()
        times = f", from {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M}" if len(part) else ""
        yield f"{split}: {len(part):,} requests ({roles}){times}"


def nearly_empty_days(requests: pd.DataFrame, splits: pd.DataFrame) -> Iterator[str]:
    """Yields a line for each day of the validation or test split that holds almost nothing of the log."""
    days = requests["requested_at"].dt.normalize().rename("day")
    usual = days.value_counts().median()
    held_out = pd.concat([requests["request_id"], days], axis=1).merge(splits, on="request_id")
    held_out = held_out[held_out["split"] != TRAIN]
    for (split, day), count in held_out.groupby(["split", "day"]).size().items():
        if count < _FEW * usual:
            yield (
                f"The {split} split has {count:,} request(s) of {day:%Y-%m-%d}, a day of the log has "
                f"{usual:,.0f} in the median: leave the day out of the log, or give more validation_days "
                "or test_days"
            )
