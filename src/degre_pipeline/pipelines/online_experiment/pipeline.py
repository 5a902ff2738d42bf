"""The simulated A/B test: users of the simulated shop between ranking order, PRM and the running service."""

from kedro.pipeline import Node, Pipeline

from degre_pipeline.pipelines.online_experiment.nodes import (
    measure_lifts,
    observe_outcomes,
    open_shop,
    show_by_prm,
    show_by_service,
    show_ranking_order,
    split_users,
    train_prm,
    write_online_report,
)


def create_pipeline() -> Pipeline:
    """Returns the online-experiment pipeline."""
    shop, settings = "params:ingestion.simulated_shop", "params:online_experiment.settings"
    return Pipeline(
        [
            Node(
                open_shop,
                name="open_shop",
                inputs=["params:ingestion.source", shop, "params:run_date", settings],
                outputs=["online_traffic", "online_truth"],
            ),
            Node(
                split_users,
                name="split_users",
                inputs=["online_traffic", "requests", "users", "exposures", settings],
                outputs=["online_visits", "visits_before"],
            ),
            Node(
                train_prm,
                name="train_prm",
                inputs=[
                    "request_tensors",
                    "feature_space",
                    "params:online_experiment.model",
                    "params:online_experiment.training",
                    "training_checkpoints",
                ],
                outputs=["prm", "prm_history"],
            ),
            Node(
                show_ranking_order,
                name="show_ranking_order",
                inputs=["online_visits", shop],
                outputs="ranking_order_lists",
            ),
            Node(
                show_by_prm,
                name="show_by_prm",
                inputs=["online_visits", "online_traffic", "prm", "feature_space"],
                outputs="prm_lists",
            ),
            Node(
                show_by_service,
                name="show_by_service",
                inputs=[
                    "online_visits",
                    "online_traffic",
                    "feature_space",
                    "params:registration.model_name",
                    "params:online_experiment.service",
                ],
                outputs=["degre_lists", "served_version"],
            ),
            Node(
                observe_outcomes,
                name="observe_outcomes",
                inputs=[
                    "online_visits",
                    "ranking_order_lists",
                    "prm_lists",
                    "degre_lists",
                    "online_traffic",
                    "online_truth",
                    shop,
                    settings,
                ],
                outputs="online_outcomes",
            ),
            Node(
                measure_lifts,
                name="measure_lifts",
                inputs=["online_outcomes", "visits_before", settings],
                outputs="online_lifts",
            ),
            Node(
                write_online_report,
                name="write_online_report",
                inputs=["online_lifts", "served_version", "params:run_date", settings, "run_facts"],
                outputs="online_report",
            ),
        ],
        namespace="online_experiment",
        prefix_datasets_with_namespace=False,
    )
