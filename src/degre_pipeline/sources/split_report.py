"""Says which requests make each split, and what is odd about it."""

from collections.abc import Iterator

import pandas as pd

from degre_pipeline.reranker.schema import TEST, TRAIN, VALIDATION

_FEW = 0.1
"""A held-out day is nearly empty below this share of the median day's requests."""


def describe_splits(requests: pd.DataFrame, splits: pd.DataFrame) -> Iterator[str]:
    """Yields a line for each split: its requests, its roles and its times.

    Args:
        requests: The request log's table.
        splits: Of the requests, in their order.
    """
    times = requests["requested_at"].reset_index(drop=True)
    for split in (TRAIN, VALIDATION, TEST):
        is_in = (splits["split"] == split).to_numpy()
        roles = ", ".join(f"{count:,} {role}" for role, count in splits["role"][is_in].value_counts().items())
        first, last = times[is_in].min(), times[is_in].max()
        spread = f", from {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M}" if is_in.any() else ""
        yield f"{split}: {is_in.sum():,} requests ({roles}){spread}"


def nearly_empty_days(requests: pd.DataFrame, splits: pd.DataFrame) -> Iterator[str]:
    """Yields a line for each day of the validation or test split that holds almost nothing of the log.

    Args:
        requests: The request log's table.
        splits: Of the requests, in their order.
    """
    days = requests["requested_at"].dt.normalize().reset_index(drop=True)
    usual = days.value_counts().median()
    for split in (VALIDATION, TEST):
        for day, count in days[(splits["split"] == split).to_numpy()].value_counts().sort_index().items():
            if count < _FEW * usual:
                yield (
                    f"The {split} split has {count:,} request(s) of {day:%Y-%m-%d}, a day of the log has "
                    f"{usual:,.0f} in the median: leave the day out of the log, or give more validation_days "
                    "or test_days"
                )
