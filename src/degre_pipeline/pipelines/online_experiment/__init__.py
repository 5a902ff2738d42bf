"""The online_experiment pipeline."""

from degre_pipeline.pipelines.online_experiment.pipeline import create_pipeline

__all__ = ["create_pipeline"]
