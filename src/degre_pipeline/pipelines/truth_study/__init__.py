"""The truth_study pipeline: how good mined and generated lists are by judges that had no part in them."""

from degre_pipeline.pipelines.truth_study.pipeline import create_pipeline

__all__ = ["create_pipeline"]
