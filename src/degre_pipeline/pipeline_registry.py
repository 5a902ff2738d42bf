"""Tells Kedro which pipelines there are."""

from kedro.framework.project import find_pipelines
from kedro.pipeline import Pipeline


def register_pipelines() -> dict[str, Pipeline]:
    """Return the pipelines by the name of their folder, and all of them together as `__default__`.

    Raises: whatever importing a pipeline raises: a broken one must not be left out silently.
    """
    pipelines = find_pipelines(raise_errors=True)
    pipelines["__default__"] = sum(pipelines.values(), Pipeline([]))
    return pipelines
