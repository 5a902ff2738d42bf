"""Encoded lists to the mining and the external evaluator."""

from kedro.pipeline import Node, Pipeline

from degre_pipeline.pipelines.evaluator_training.nodes import (
    choose_evaluator_head,
    train_external_evaluator,
    train_mining_evaluator,
)


def create_pipeline() -> Pipeline:
    """Returns the evaluator-training pipeline."""
    shared = [
        "request_tensors",
        "feature_space",
        "head_choice",
        "params:evaluator_training.model",
        "params:evaluator_training.training",
    ]
    without_clicks = "params:evaluator_training.lists_without_clicks"
    calibration = "params:evaluator_training.calibration"
    return Pipeline(
        [
            Node(
                choose_evaluator_head,
                name="choose_evaluator_head",
                inputs=[
                    "request_tensors",
                    "feature_space",
                    "log_support",
                    "params:evaluator_training.model",
                    "params:evaluator_training.training",
                    "params:evaluator_training.head_choice",
                    without_clicks,
                    "training_checkpoints",
                ],
                outputs="head_choice",
            ),
            Node(
                train_mining_evaluator,
                name="train_mining_evaluator",
                inputs=[
                    *shared,
                    without_clicks,
                    calibration,
                    "training_checkpoints",
                    "params:evaluator_training.epoch_mining",
                    "start_mining_evaluator",
                ],
                outputs=["mining_evaluator", "mining_evaluator_history", "mined_by_epoch"],
            ),
            Node(
                train_external_evaluator,
                name="train_external_evaluator",
                inputs=[
                    *shared,
                    "params:evaluator_training.external_seed",
                    "params:evaluator_training.external_members",
                    without_clicks,
                    calibration,
                    "training_checkpoints",
                    "start_external_evaluator",
                ],
                outputs=["external_evaluator", "external_evaluator_history"],
            ),
        ],
        namespace="evaluator_training",
        prefix_datasets_with_namespace=False,
    )
