"""Tells Kedro which pipelines there are."""

from kedro.framework.project import find_pipelines
from kedro.pipeline import Pipeline

STUDIES = ("truth_study",)
"""Run by their names only; a run of everything leaves them out."""


def register_pipelines() -> dict[str, Pipeline]:
    """Return the pipelines by the name of their folder, and all but the studies as `__default__`.

    Raises: whatever importing a pipeline raises: a broken one must not be left out silently.
    """
    pipelines = find_pipelines(raise_errors=True)
    usual = [pipeline for name, pipeline in pipelines.items() if name not in STUDIES]
    pipelines["__default__"] = sum(usual, Pipeline([]))
    return pipelines
