"""The mining pipeline."""

from degre_pipeline.pipelines.mining.pipeline import create_pipeline

__all__ = ["create_pipeline"]
