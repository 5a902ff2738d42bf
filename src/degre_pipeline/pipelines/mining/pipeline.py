"""The mining evaluator to lookahead sequences."""

from kedro.pipeline import Node, Pipeline

from degre_pipeline.pipelines.mining.nodes import mine_lookahead_sequences


def create_pipeline() -> Pipeline:
    """Returns the mining pipeline."""
    return Pipeline(
        [
            Node(
                mine_lookahead_sequences,
                name="mine_lookahead_sequences",
                inputs=["request_tensors", "mining_evaluator", "params:mining.search"],
                outputs="lookahead_sequences",
            )
        ],
        namespace="mining",
        prefix_datasets_with_namespace=False,
    )
