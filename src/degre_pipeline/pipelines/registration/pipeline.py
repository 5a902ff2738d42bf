"""Trained generator to a registered, servable model."""

from kedro.pipeline import Node, Pipeline

from degre_pipeline.pipelines.registration.nodes import register_model


def create_pipeline() -> Pipeline:
    """Returns the registration pipeline."""
    return Pipeline(
        [
            Node(
                register_model,
                name="register_model",
                inputs=[
                    "generator",
                    "feature_space",
                    "request_tensors",
                    "lists",
                    "requests",
                    "users",
                    "items",
                    "scored_candidates",
                    "ranking_model",
                    "ranking_feature_space",
                    "metrics",
                    "mining_evaluator",
                    "external_evaluator",
                    "params:list_building.lists.external_share",
                    "params:list_building.lists.seed",
                    "params:run_date",
                    "params:registration.model_name",
                    "params:ingestion.source",
                    "params:registration.data",
                ],
                outputs="registered_model",
            )
        ],
        namespace="registration",
        prefix_datasets_with_namespace=False,
    )
