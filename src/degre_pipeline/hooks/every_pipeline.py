"""All pipelines of the project, in a run that asked Kedro for some of them."""

from collections.abc import Mapping
from typing import Any

from kedro.framework import project
from kedro.pipeline import Pipeline

ALL = "__default__"
"""Kedro's name for the pipelines of a plain `kedro run`, together."""


def every_pipeline(run_params: Mapping[str, Any]) -> dict[str, Pipeline]:
    """Returns every pipeline by name; Kedro itself has loaded only the pipelines of the run.

    Args:
        run_params: Of the run, as Kedro hands them to hooks.
    """
    try:
        project.pipelines.set_requested(None)
        return dict(project.pipelines)
    finally:
        project.pipelines.set_requested(run_params.get("pipeline_names"))
