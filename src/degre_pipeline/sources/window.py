"""The days of a request log that one run reads: those up to and including its date."""

from dataclasses import replace
from datetime import date, timedelta

import pandas as pd

from degre_pipeline.sources.column_types import coerce
from degre_pipeline.sources.request_log import RequestLog


def cut_to_window(log: RequestLog, last_day: date, days: int) -> RequestLog:
    """Returns the log with the requests of so many days, and what was handed over and shown in them.

    Users and items stay as they are. A day without requests inside the window is no error: the first run
    after a missed day learns from what there is.

    Args:
        log: Of any days, as it was read.
        last_day: The last of the days that are kept.
        days: How many days are kept, 1 or more.
    Raises: ValueError if the last day has no request.
    """
    day = coerce("requests", log.requests["requested_at"]).dt.date
    if not (day == last_day).any():
        raise ValueError(
            f"run_date is {last_day}, a day without requests: the log has {len(day)}{_covered(day)}; "
            "allowed: a day that has some; nothing was written, and the next day's run takes in what is there"
        )
    first_day = last_day - timedelta(days=days - 1)
    requests = log.requests[(day >= first_day) & (day <= last_day)]
    return replace(
        log,
        requests=requests,
        candidates=_of(requests, log.candidates),
        exposures=_of(requests, log.exposures),
    )


def _of(requests: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["request_id"].isin(requests["request_id"])]


def _covered(day: pd.Series) -> str:
    return f" from {day.min()} to {day.max()}" if len(day) else ""
