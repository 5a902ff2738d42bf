"""The living_shop pipeline."""

from degre_pipeline.pipelines.living_shop.pipeline import create_pipeline

__all__ = ["create_pipeline"]
