"""The project's `kedro run`: Kedro's own, with an exit code that says whether another try can help."""

import ctypes
import os
import signal
import sys
import traceback
from collections.abc import Callable
from copy import copy
from functools import wraps
from typing import Any

import click
from kedro.framework.cli.project import run as kedro_run
from kedro.io import DatasetError
from kedro.validation.exceptions import ParameterValidationError

from degre_pipeline.run_facts import WORKFLOW_RUN

WRONG = 65
"""Data, settings or what lies in the catalog are wrong: the same command would fail again (EX_DATAERR)."""
MAY_PASS = 75
"""Disk, memory, network or another service failed: the same command may succeed later (EX_TEMPFAIL)."""
UNKNOWN = 1

_WRONG_KINDS = (ValueError, TypeError, LookupError, FileNotFoundError, DatasetError, ParameterValidationError)
_PASSING_KINDS = (OSError, MemoryError)
_WRONG_CODES = (
    "BAD_REQUEST",
    "INVALID_PARAMETER_VALUE",
    "INVALID_STATE",
    "PERMISSION_DENIED",
    "RESOURCE_DOES_NOT_EXIST",
    "UNAUTHENTICATED",
)
"""Of MLflow's errors, by their `error_code`: what it refuses, and would refuse again."""


def exit_code(error: BaseException) -> int:
    """Returns what a scheduler has to know of an error: `WRONG`, `MAY_PASS` or `UNKNOWN`.

    Kedro wraps whatever happens while it loads or saves; the cause inside decides.
    """
    while isinstance(error, DatasetError) and error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, FileNotFoundError):
        return WRONG
    if isinstance(error, _PASSING_KINDS) or "No space left on device" in str(error):
        return MAY_PASS
    refused = getattr(error, "error_code", None) in _WRONG_CODES
    return WRONG if refused or isinstance(error, _WRONG_KINDS) else UNKNOWN


def with_exit_code(command: Callable[..., Any]) -> Callable[..., Any]:
    """Returns the command, which ends the process by `exit_code` where it would have raised."""

    @wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        end_with_parent()
        try:
            return command(*args, **kwargs)
        except (click.ClickException, click.exceptions.Exit):
            raise
        except Exception as error:
            traceback.print_exc()
            sys.exit(exit_code(error))

    return wrapped


_PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """Makes this process end when the one that started it is killed, where a scheduler started it.

    A killed worker cannot stop its command, and the next try would meet it at work on the same files. Only
    Linux knows how; elsewhere nothing happens.
    """
    if sys.platform == "linux" and os.environ.get(WORKFLOW_RUN):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


@click.group(name="degre_pipeline")
def cli() -> None:
    """Commands of this project that stand in for Kedro's."""


run = copy(kedro_run)
if run.callback is not None:
    run.callback = with_exit_code(run.callback)
cli.add_command(run)
