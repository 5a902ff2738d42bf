"""The days of a request log that one run reads: those up to and including its date."""

import logging
from dataclasses import replace
from datetime import date, timedelta

import pandas as pd

from degre_pipeline.sources.column_types import read_column
from degre_pipeline.sources.request_log import RequestLog

logger = logging.getLogger(__name__)

_DAY = pd.Timedelta(days=1)


def cut_to_window(log: RequestLog, last_day: date, days: int) -> RequestLog:
    """Returns the log with the requests of so many days, and what was handed over and shown in them.

    Users and items stay as they are. A row whose time or request cannot be read is kept, so that it is named.
    A day without requests inside the window is no error: the first run
    after a missed day learns from what there is.

    Args:
        log: Of any days, as it was read.
        last_day: The last of the days that are kept.
        days: How many days are kept, 1 or more.
    Raises: ValueError if the last day has no request.
    """
    times, _, _ = read_column(log.requests["requested_at"])
    day = times.dt.date
    if not (day == last_day).any():
        raise ValueError(
            f"run_date is {last_day}, a day without requests: the log has {len(day)}{_covered(day)}; "
            "allowed: a day that has some; nothing was written, and the next day's run takes in what is there"
        )
    first_day = last_day - timedelta(days=days - 1)
    is_wanted = ((times >= pd.Timestamp(first_day)) & (times < pd.Timestamp(last_day) + _DAY)) | times.isna()
    requests = log.requests[is_wanted.to_numpy()]
    for name in ("candidates", "exposures"):
        _tell_strangers(name, getattr(log, name), log.requests)
    return replace(
        log,
        requests=requests,
        candidates=_of(requests, log.candidates),
        exposures=_of(requests, log.exposures),
    )


def _tell_strangers(name: str, rows: pd.DataFrame, requests: pd.DataFrame) -> None:
    """Warns of rows without a day, because `requests` has no row for their request."""
    known, owners = (read_column(table["request_id"])[0].dropna() for table in (requests, rows))
    strangers = owners[~owners.isin(known)]
    if len(strangers):
        logger.warning(
            "%d request(s) of table %r have no row in table 'requests', for example request %s: "
            "they are of no day and left out.",
            strangers.nunique(),
            name,
            strangers.iloc[0],
        )


def _of(requests: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    wanted, owners = (read_column(table["request_id"])[0] for table in (requests, rows))
    return rows[(owners.isin(wanted.dropna()) | owners.isna()).to_numpy()]


def _covered(day: pd.Series) -> str:
    known = day.dropna()
    return f" from {known.min()} to {known.max()}" if len(known) else ""
