"""The list_building pipeline."""

from degre_pipeline.pipelines.list_building.pipeline import create_pipeline

__all__ = ["create_pipeline"]
