"""A day of the simulated shop to log files, and all days so far to a report."""

from kedro.pipeline import Node, Pipeline

from degre_pipeline.pipelines.living_shop.nodes import live_through, tell_story


def create_pipeline() -> Pipeline:
    """Returns the living-shop pipeline."""
    return Pipeline(
        [
            Node(
                live_through,
                name="live_through",
                inputs=[
                    "params:ingestion.simulated_shop",
                    "params:living_shop.settings",
                    "params:run_date",
                    "params:registration.model_name",
                ],
                outputs=[
                    "shop_requests",
                    "shop_candidates",
                    "shop_exposures",
                    "shop_users",
                    "shop_items",
                    "shop_figures",
                ],
            ),
            Node(tell_story, name="tell_story", inputs=["shop_figures", "run_facts"], outputs="shop_story"),
        ],
        namespace="living_shop",
        prefix_datasets_with_namespace=False,
    )
