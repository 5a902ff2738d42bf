"""A registered version and the champion to a decision, and to a moved alias where that is wanted."""

from kedro.pipeline import Node, Pipeline

from degre_pipeline.pipelines.gate.nodes import (
    decide_promotion,
    freeze_slice,
    gather_facts,
    judge_versions,
    rank_slice,
    record_decision,
    write_gate_report,
)


def create_pipeline() -> Pipeline:
    """Returns the gate pipeline."""
    settings = "params:gate.settings"
    return Pipeline(
        [
            Node(
                freeze_slice,
                name="freeze_slice",
                inputs=["lists", "feature_tables", settings],
                outputs="gate_slice",
            ),
            Node(
                rank_slice,
                name="rank_slice",
                inputs=[
                    "gate_slice",
                    "registered_model",
                    "generator",
                    "request_tensors",
                    "lists",
                    "feature_tables",
                    settings,
                ],
                outputs=["gate_lists", "version_facts"],
            ),
            Node(
                judge_versions,
                name="judge_versions",
                inputs=[
                    "gate_slice",
                    "gate_lists",
                    "request_tensors",
                    "lists",
                    "external_evaluator",
                    "click_truth",
                    settings,
                ],
                outputs="gate_judgements",
            ),
            Node(
                gather_facts,
                name="gather_facts",
                inputs=[
                    "version_facts",
                    "gate_slice",
                    "gate_judgements",
                    "registered_model",
                    "evaluated_lists",
                    "generator",
                    "request_tensors",
                ],
                outputs="gate_facts",
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
