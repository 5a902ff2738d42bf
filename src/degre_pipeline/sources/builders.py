"""Chooses the source of the request log by its name in the configuration."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date

import torch

from degre_pipeline.reranker.schema import Field
from degre_pipeline.simulation.shop import ShopConfig
from degre_pipeline.sources.field_kinds import in_declared_form
from degre_pipeline.sources.movielens import MovieLensConfig, read_movielens
from degre_pipeline.sources.request_log import RequestLog
from degre_pipeline.sources.request_log_files import RequestLogFilesConfig, read_request_log_files
from degre_pipeline.sources.simulated_shop import simulate_request_log

Truth = dict[str, torch.Tensor]
"""What really drives clicks, as tensors; empty where nobody knows it."""


def read_source(
    source: str,
    simulated_shop: ShopConfig,
    movielens: MovieLensConfig,
    request_log_files: RequestLogFilesConfig,
    run_date: date,
    *,
    fields: Sequence[Field] = (),
) -> tuple[RequestLog, Truth]:
    """Returns the request log of the named source, and the truth of its clicks where it is known.

    Args:
        source: "simulated_shop", "movielens" or "request_log_files"; only its configuration is used.
        simulated_shop: The simulated shop's configuration.
        movielens: The MovieLens configuration.
        request_log_files: The configuration of your own log.
        run_date: Day of the run: the simulated shop's last one, and your own log's if it is cut to days.
        fields: The declared features; their columns come in the form of their kinds.
    Raises: ValueError if the source has no such name, and whatever the chosen source raises.
    """
    readers: Mapping[str, Callable[[], tuple[RequestLog, Truth]]] = {
        "simulated_shop": lambda: _simulate(simulated_shop, run_date),
        "movielens": lambda: (read_movielens(movielens), {}),
        "request_log_files": lambda: (read_request_log_files(request_log_files, run_date, fields), {}),
    }
    if source not in readers:
        raise ValueError(f"source is {source!r}, allowed is one of {list(readers)}.")
    log, truth = readers[source]()
    return in_declared_form(log, fields), truth


def _simulate(config: ShopConfig, run_date: date) -> tuple[RequestLog, Truth]:
    log, truth = simulate_request_log(config, run_date)
    return log, truth.to_tensors()
