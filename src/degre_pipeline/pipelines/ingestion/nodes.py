"""Reads the configured source into the request-log tables."""

from datetime import date
from typing import Any

import pandas as pd
from torch import Tensor

from degre_pipeline.reranker.schema import parse_fields
from degre_pipeline.simulation.shop import ShopConfig
from degre_pipeline.sources.movielens import MovieLensConfig
from degre_pipeline.sources.request_log import RequestLog
from degre_pipeline.sources.request_log_files import RequestLogFilesConfig
from degre_pipeline.sources.source_choice import read_source


def ingest_request_log(
    source: str,
    simulated_shop: ShopConfig,
    movielens: MovieLensConfig,
    request_log_files: RequestLogFilesConfig,
    run_date: str,
    fields: list[dict[str, Any]],
) -> tuple[RequestLog, dict[str, Tensor], pd.DataFrame]:
    """Returns the request log, what truly drives a simulated shop's clicks, and requests that were set aside.

    Raises: ValueError: If run_date is no ISO date, a field is declared wrongly, or what the source raises.
    """
    try:
        day = date.fromisoformat(str(run_date))
    except ValueError as error:
        raise ValueError(f"run_date is {run_date!r}; allowed: a date such as 2026-01-31") from error
    declared = parse_fields(fields)
    return read_source(source, simulated_shop, movielens, request_log_files, day, fields=declared)


def tables_of(log: RequestLog, set_aside: pd.DataFrame) -> tuple[pd.DataFrame, ...]:
    """Returns requests, candidates, exposures, users and items, and what was set aside, for the catalog."""
    return (*(table for _, table in log.tables()), set_aside)
