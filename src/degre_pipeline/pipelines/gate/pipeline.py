"""A registered version and the champion to a decision, and to a moved alias where that is wanted."""

from kedro.pipeline import Node, Pipeline

from degre_pipeline.pipelines.gate.nodes import (
    decide_promotion,
    freeze_slice,
    judge_versions,
    record_decision,
    write_gate_report,
)


def create_pipeline() -> Pipeline:
    """Returns the gate pipeline."""
    settings = "params:gate.settings"
    tables = ["lists", "requests", "users", "items", "scored_candidates"]
    return Pipeline(
        [
            Node(
                freeze_slice,
                name="freeze_slice",
                inputs=[*tables, settings],
                outputs="gate_slice",
            ),
            Node(
                judge_versions,
                name="judge_versions",
                inputs=[
                    "gate_slice",
                    "registered_model",
                    "generator",
                    "request_tensors",
                    *tables,
                    "external_evaluator",
                    "click_truth",
                    "evaluated_lists",
                    settings,
                ],
                outputs=["gate_judgements", "gate_facts"],
            ),
            Node(
                decide_promotion,
                name="decide_promotion",
                inputs=[
                    "gate_slice",
                    "gate_judgements",
                    "gate_facts",
                    "metrics",
                    "registered_model",
                    settings,
                ],
                outputs="gate_decision",
            ),
            Node(
                write_gate_report,
                name="write_gate_report",
                inputs=["gate_decision", "gate_slice", "run_facts"],
                outputs="gate_report",
            ),
            Node(
                record_decision,
                name="record_decision",
                inputs=["gate_decision", "gate_report", "registered_model", settings, "run_facts"],
                outputs="gate_moves",
            ),
        ],
        namespace="gate",
        prefix_datasets_with_namespace=False,
    )
