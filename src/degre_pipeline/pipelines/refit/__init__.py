"""The refit pipeline."""

from degre_pipeline.pipelines.refit.pipeline import create_pipeline

__all__ = ["create_pipeline"]
