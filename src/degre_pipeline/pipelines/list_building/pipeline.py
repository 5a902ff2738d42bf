"""Request-log tables to encoded lists."""

from kedro.pipeline import Node, Pipeline

from degre_pipeline.pipelines.list_building.nodes import (
    build_lists,
    encode_requests,
    find_start,
    fit_features,
    measure_log_support,
    score_candidates,
    split_requests,
)


def create_pipeline() -> Pipeline:
    """Returns the list-building pipeline."""
    return Pipeline(
        [
            Node(
                find_start,
                name="find_start",
                inputs=[
                    "params:start_from_champion",
                    "params:run_date",
                    "params:registration.model_name",
                    "params:list_building.fields",
                    "params:list_building.lists",
                ],
                outputs=[
                    "start_feature_space",
                    "start_mining_evaluator",
                    "start_external_evaluator",
                    "start_generator",
                ],
            ),
            Node(
                split_requests,
                name="split_requests",
                inputs=["requests", "params:list_building.lists"],
                outputs="request_splits",
            ),
            Node(
                score_candidates,
                name="score_candidates",
                inputs=[
                    "requests",
                    "candidates",
                    "exposures",
                    "users",
                    "items",
                    "request_splits",
                    "params:list_building.fields",
                    "params:list_building.lists",
                    "params:list_building.ranking_stage",
                ],
                outputs=[
                    "scored_candidates",
                    "ranking_score_quality",
                    "ranking_model",
                    "ranking_feature_space",
                ],
            ),
            Node(
                build_lists,
                name="build_lists",
                inputs=["requests", "scored_candidates", "exposures", "request_splits"],
                outputs="lists",
            ),
            Node(
                fit_features,
                name="fit_features",
                inputs=[
                    "lists",
                    "requests",
                    "scored_candidates",
                    "users",
                    "items",
                    "params:list_building.fields",
                    "start_feature_space",
                ],
                outputs="feature_space",
            ),
            Node(
                encode_requests,
                name="encode_requests",
                inputs=[
                    "lists",
                    "requests",
                    "scored_candidates",
                    "users",
                    "items",
                    "feature_space",
                    "params:list_building.lists",
                ],
                outputs="request_tensors",
            ),
            Node(
                measure_log_support,
                name="measure_log_support",
                inputs=["request_tensors", "lists", "users", "items"],
                outputs="log_support",
            ),
        ],
        namespace="list_building",
        prefix_datasets_with_namespace=False,
    )
