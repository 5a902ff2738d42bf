"""Encoded lists to the mining and the external evaluator."""

from kedro.pipeline import Node, Pipeline

from degre_pipeline.pipelines.evaluator_training.nodes import train_external_evaluator, train_mining_evaluator


def create_pipeline() -> Pipeline:
    """Returns the evaluator-training pipeline."""
    encoded = ["request_tensors", "feature_space"]
    training = ["params:evaluator_training", "training_checkpoints"]
    return Pipeline(
        [
            Node(
                train_mining_evaluator,
                name="train_mining_evaluator",
                inputs=[*encoded, "log_support", *training, "start_mining_evaluator"],
                outputs=["mining_evaluator", "mining_evaluator_history", "mined_by_epoch", "head_choice"],
            ),
            Node(
                train_external_evaluator,
                name="train_external_evaluator",
                inputs=[*encoded, "head_choice", *training, "start_external_evaluator"],
                outputs=["external_evaluator", "external_evaluator_history"],
            ),
        ],
        namespace="evaluator_training",
        prefix_datasets_with_namespace=False,
    )
