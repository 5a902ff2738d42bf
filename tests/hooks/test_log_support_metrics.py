import mlflow
from kedro.pipeline import Node

from degre_pipeline.hooks.logged_metrics import MetricsHook


def test_what_the_log_supports_is_a_metric_as_soon_as_it_is_known(registry) -> None:
    node = Node(len, inputs="request_tensors", outputs="log_support", name="measure")
    rows = [
        {
            "subject": "log",
            "judge": "log",
            "metric": "slot_coverage",
            "value": 0.25,
            "low": None,
            "high": None,
        }
    ]
    hook = MetricsHook()
    with mlflow.start_run() as run:
        hook.before_node_run(node)
        hook.after_dataset_saved("log_support", rows, node)

    assert registry.get_run(run.info.run_id).data.metrics["log.log.slot_coverage"] == 0.25
