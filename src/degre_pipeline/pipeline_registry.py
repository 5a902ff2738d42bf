"""Tells Kedro which pipelines there are."""

from kedro.framework.project import find_pipelines
from kedro.pipeline import Pipeline

ON_REQUEST = ("living_shop", "online_experiment", "refit", "truth_study")
"""Pipelines that run only when they are named."""


def register_pipelines() -> dict[str, Pipeline]:
    """Return the pipelines by the name of their folder, and the daily ones together as `__default__`.

    Raises: whatever importing a pipeline raises: a broken one must not be left out silently.
    """
    pipelines = find_pipelines(raise_errors=True)
    daily = (pipeline for name, pipeline in pipelines.items() if name not in ON_REQUEST)
    pipelines["__default__"] = sum(daily, Pipeline([]))
    return pipelines
