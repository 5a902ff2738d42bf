"""Request-log tables to encoded lists."""

from kedro.pipeline import Node, Pipeline

from degre_pipeline.pipelines.list_building.nodes import (
    build_lists,
    encode_requests,
    find_start,
    fit_features,
    join_tables,
    measure_log_support,
    measure_scores,
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
                join_tables,
                name="join_tables",
                inputs=["requests", "candidates", "exposures", "request_splits"],
                outputs="joined_lists",
            ),
            Node(
                score_candidates,
                name="score_candidates",
                inputs=[
                    "joined_lists",
                    "requests",
                    "candidates",
                    "users",
                    "items",
                    "params:list_building.fields",
                    "params:list_building.lists",
                    "params:list_building.ranking_stage",
                ],
                outputs=["feature_tables", "ranking_model", "ranking_feature_space"],
            ),
            Node(
                measure_scores,
                name="measure_scores",
                inputs=["feature_tables", "exposures", "request_splits"],
                outputs="ranking_score_quality",
            ),
            Node(
                build_lists,
                name="build_lists",
                inputs=["joined_lists", "feature_tables"],
                outputs="lists",
            ),
            Node(
                fit_features,
                name="fit_features",
                inputs=["lists", "feature_tables", "params:list_building.fields", "start_feature_space"],
                outputs="feature_space",
            ),
            Node(
                encode_requests,
                name="encode_requests",
                inputs=["lists", "feature_tables", "feature_space", "params:list_building.lists"],
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
