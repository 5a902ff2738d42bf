"""The generator_distillation pipeline."""

from degre_pipeline.pipelines.generator_distillation.pipeline import create_pipeline

__all__ = ["create_pipeline"]
