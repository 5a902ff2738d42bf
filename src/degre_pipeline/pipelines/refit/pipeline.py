"""A version that passed the gate to one that has learned from the whole log."""

from kedro.pipeline import Node, Pipeline

from degre_pipeline.pipelines.refit.nodes import (
    check_refit,
    collect_refitted,
    refit_evaluator,
    refit_generator,
    register_refit,
)


def create_pipeline() -> Pipeline:
    """Returns the refit pipeline."""
    encoded = ["request_tensors", "feature_space"]
    return Pipeline(
        [
            Node(
                refit_evaluator,
                name="refit_evaluator",
                inputs=[*encoded, "head_choice", "params:evaluator_training", "training_checkpoints"],
                outputs="refitted_evaluator",
            ),
            Node(
                refit_generator,
                name="refit_generator",
                inputs=[
                    *encoded,
                    "refitted_evaluator",
                    "params:mining.search",
                    "params:generator_distillation",
                    "training_checkpoints",
                ],
                outputs="refitted_generator",
            ),
            Node(
                check_refit,
                name="check_refit",
                inputs=[
                    "gate_slice",
                    "request_tensors",
                    "lists",
                    "generator",
                    "refitted_generator",
                    "external_evaluator",
                    "click_truth",
                    "params:gate.settings",
                ],
                outputs="refit_findings",
            ),
            Node(
                collect_refitted,
                name="collect_refitted",
                inputs=[
                    "refitted_generator",
                    "mining_evaluator",
                    "external_evaluator",
                    "feature_space",
                    "ranking_model",
                    "ranking_feature_space",
                ],
                outputs="refitted_models",
            ),
            Node(
                register_refit,
                name="register_refit",
                inputs=[
                    "refit_findings",
                    "refitted_models",
                    "registered_model",
                    "request_tensors",
                    "lists",
                    "feature_tables",
                ],
                outputs="refitted_model",
            ),
        ],
        namespace="refit",
        prefix_datasets_with_namespace=False,
    )
