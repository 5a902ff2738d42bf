"""Raw data to request-log tables."""

from kedro.pipeline import Node, Pipeline

from degre_pipeline.pipelines.ingestion.nodes import ingest_request_log, tables_of


def create_pipeline() -> Pipeline:
    """Returns the ingestion pipeline."""
    return Pipeline(
        [
            Node(
                ingest_request_log,
                name="ingest_request_log",
                inputs=[
                    "params:ingestion.source",
                    "params:ingestion.simulated_shop",
                    "params:ingestion.movielens",
                    "params:ingestion.request_log_files",
                    "params:run_date",
                    "params:list_building.fields",
                ],
                outputs=["request_log", "click_truth", "spoilt_requests"],
            ),
            Node(
                tables_of,
                name="tables_of",
                inputs=["request_log", "spoilt_requests"],
                outputs=["requests", "candidates", "exposures", "users", "items", "requests_set_aside"],
            ),
        ],
        namespace="ingestion",
        prefix_datasets_with_namespace=False,
    )
