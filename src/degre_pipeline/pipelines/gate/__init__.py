"""The gate pipeline."""

from degre_pipeline.pipelines.gate.pipeline import create_pipeline

__all__ = ["create_pipeline"]
