"""Trained generator to a registered, servable model."""

from kedro.pipeline import Node, Pipeline

from degre_pipeline.pipelines.registration.nodes import collect_models, describe_version, register_model


def create_pipeline() -> Pipeline:
    """Returns the registration pipeline."""
    return Pipeline(
        [
            Node(
                collect_models,
                name="collect_models",
                inputs=[
                    "generator",
                    "mining_evaluator",
                    "external_evaluator",
                    "feature_space",
                    "ranking_model",
                    "ranking_feature_space",
                ],
                outputs="trained_models",
            ),
            Node(
                describe_version,
                name="describe_version",
                inputs=[
                    "lists",
                    "requests",
                    "metrics",
                    "params:list_building.lists",
                    "params:run_date",
                    "params:ingestion.source",
                    "params:registration.data",
                ],
                outputs="version_tags",
            ),
            Node(
                register_model,
                name="register_model",
                inputs=[
                    "trained_models",
                    "version_tags",
                    "request_tensors",
                    "lists",
                    "feature_tables",
                    "params:registration.model_name",
                ],
                outputs="registered_model",
            ),
        ],
        namespace="registration",
        prefix_datasets_with_namespace=False,
    )
