"""Lookahead sequences to the Online Generator."""

from kedro.pipeline import Node, Pipeline

from degre_pipeline.pipelines.generator_distillation.nodes import distill_generator, gather_mined


def create_pipeline() -> Pipeline:
    """Returns the generator-distillation pipeline."""
    settings, search = "params:generator_distillation", "params:mining.search"
    return Pipeline(
        [
            Node(
                gather_mined,
                name="gather_mined",
                inputs=[
                    "request_tensors",
                    "lookahead_sequences",
                    "mining_evaluator",
                    "lists",
                    "log_support",
                    settings,
                    search,
                ],
                outputs="mined_requests",
            ),
            Node(
                distill_generator,
                name="distill_generator",
                inputs=[
                    "mined_requests",
                    "feature_space",
                    "mining_evaluator",
                    settings,
                    "training_checkpoints",
                    "start_generator",
                ],
                outputs=["generator", "generator_history"],
            ),
        ],
        namespace="generator_distillation",
        prefix_datasets_with_namespace=False,
    )
