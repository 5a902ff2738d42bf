"""Chooses the source of the request log by its name in the configuration."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date

import pandas as pd
import torch

from degre_pipeline.reranker.schema import Field
from degre_pipeline.simulation.shop import ShopConfig
from degre_pipeline.sources.field_kinds import in_declared_form
from degre_pipeline.sources.movielens import MovieLensConfig, read_movielens
from degre_pipeline.sources.request_log import RequestLog
from degre_pipeline.sources.request_log_files import RequestLogFilesConfig, read_request_log_files
from degre_pipeline.sources.set_aside import nothing_set_aside
from degre_pipeline.sources.simulated_shop import simulate_request_log

Truth = dict[str, torch.Tensor]
"""The true click model as tensors; empty where it is not known."""

Read = tuple[RequestLog, Truth, pd.DataFrame]
"""The request log, the truth of its clicks, and `request_id` and `reason` of requests that were set aside."""


def read_source(
    source: str,
    simulated_shop: ShopConfig,
    movielens: MovieLensConfig,
    request_log_files: RequestLogFilesConfig,
    run_date: date,
    *,
    fields: Sequence[Field] = (),
) -> Read:
    """Returns the request log of the named source, its truth where it is known, and what was set aside.

    Args:
        source: "simulated_shop", "movielens" or "request_log_files"; only its configuration is used.
        simulated_shop: The simulated shop's configuration.
        movielens: The MovieLens configuration.
        request_log_files: The configuration of your own log.
        run_date: Day of the run: the simulated shop's last one, and your own log's if it is cut to days.
        fields: The declared features; their columns come in the form of their kinds.
    Raises: ValueError if the source has no such name, and whatever the chosen source raises.
    """
    readers: Mapping[str, Callable[[], Read]] = {
        "simulated_shop": lambda: _simulate(simulated_shop, run_date),
        "movielens": lambda: (read_movielens(movielens), {}, nothing_set_aside()),
        "request_log_files": lambda: _read_files(request_log_files, run_date, fields),
    }
    if source not in readers:
        raise ValueError(f"source is {source!r}, allowed is one of {list(readers)}.")
    log, truth, set_aside = readers[source]()
    return in_declared_form(log, fields), truth, set_aside


def _simulate(config: ShopConfig, run_date: date) -> Read:
    log, truth = simulate_request_log(config, run_date)
    return log, truth.to_tensors(), nothing_set_aside()


def _read_files(config: RequestLogFilesConfig, run_date: date, fields: Sequence[Field]) -> Read:
    log, set_aside = read_request_log_files(config, run_date, fields)
    return log, {}, set_aside
