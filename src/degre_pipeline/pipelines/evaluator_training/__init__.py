"""The evaluator_training pipeline."""

from degre_pipeline.pipelines.evaluator_training.pipeline import create_pipeline

__all__ = ["create_pipeline"]
