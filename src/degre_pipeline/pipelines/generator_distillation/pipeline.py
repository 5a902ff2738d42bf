"""Lookahead sequences to the Online Generator."""

from kedro.pipeline import Node, Pipeline

from degre_pipeline.pipelines.generator_distillation.nodes import distill_generator


def create_pipeline() -> Pipeline:
    """Returns the generator-distillation pipeline."""
    return Pipeline(
        [
            Node(
                distill_generator,
                name="distill_generator",
                inputs=[
                    "request_tensors",
                    "feature_space",
                    "log_support",
                    "lists",
                    "lookahead_sequences",
                    "mining_evaluator",
                    "params:generator_distillation.model",
                    "params:generator_distillation.training",
                    "params:generator_distillation.distillation",
                    "params:mining.search",
                    "training_checkpoints",
                    "start_generator",
                ],
                outputs=["generator", "generator_history"],
            )
        ],
        namespace="generator_distillation",
        prefix_datasets_with_namespace=False,
    )
