"""The ingestion pipeline."""

from degre_pipeline.pipelines.ingestion.pipeline import create_pipeline

__all__ = ["create_pipeline"]
