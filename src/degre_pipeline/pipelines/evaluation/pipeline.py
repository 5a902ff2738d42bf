"""Models and test requests to figures and the report."""

from kedro.pipeline import Node, Pipeline

from degre_pipeline.pipelines.evaluation.nodes import (
    compare_with_all_lists,
    diagnose,
    diagnose_distillation,
    diagnose_epochs,
    diagnose_search,
    judge_lists,
    lay_out_lists,
    lay_out_models,
    measure_evaluators,
    pick_examples,
    replay_logged_clicks,
    rerank_test_requests,
    summarise_evaluation,
    write_report,
)


def create_pipeline() -> Pipeline:
    """Returns the evaluation pipeline."""
    settings = "params:evaluation.settings"
    judged = [
        "request_tensors",
        "evaluated_lists",
        "mining_evaluator",
        "external_evaluator",
        "click_truth",
        settings,
    ]
    return Pipeline(
        [
            Node(
                rerank_test_requests,
                name="rerank_test_requests",
                inputs=["request_tensors", "generator", "mining_evaluator", "params:mining.search", settings],
                outputs="evaluated_lists",
            ),
            Node(
                judge_lists,
                name="judge_lists",
                inputs=judged,
                outputs=["list_judgements", "judge_agreement"],
            ),
            Node(
                compare_with_all_lists,
                name="compare_with_all_lists",
                inputs=judged,
                outputs="exact_judgements",
            ),
            Node(
                measure_evaluators,
                name="measure_evaluators",
                inputs=[
                    "request_tensors",
                    "lists",
                    "mining_evaluator",
                    "external_evaluator",
                    "click_truth",
                    settings,
                ],
                outputs=["evaluator_quality", "evaluator_calibration"],
            ),
            Node(
                diagnose_search,
                name="diagnose_search",
                inputs=[
                    "request_tensors",
                    "evaluated_lists",
                    "mining_evaluator",
                    "external_evaluator",
                    "click_truth",
                    "params:mining.search",
                    "params:evaluation.diagnostics",
                    settings,
                ],
                outputs="search_diagnostics",
            ),
            Node(
                diagnose_epochs,
                name="diagnose_epochs",
                inputs=[
                    "request_tensors",
                    "mined_by_epoch",
                    "mining_evaluator",
                    "external_evaluator",
                    "click_truth",
                    settings,
                ],
                outputs="epoch_diagnostics",
            ),
            Node(
                diagnose_distillation,
                name="diagnose_distillation",
                inputs=[
                    "request_tensors",
                    "evaluated_lists",
                    "generator",
                    "mining_evaluator",
                    "params:mining.search",
                    "params:evaluation.diagnostics",
                    settings,
                ],
                outputs="distillation_diagnostics",
            ),
            Node(
                diagnose,
                name="diagnose",
                inputs=[
                    "lists",
                    "evaluated_lists",
                    "list_judgements",
                    "search_diagnostics",
                    "epoch_diagnostics",
                    "distillation_diagnostics",
                    settings,
                ],
                outputs="diagnostics",
            ),
            Node(
                replay_logged_clicks,
                name="replay_logged_clicks",
                inputs=[
                    "request_tensors",
                    "evaluated_lists",
                    "feature_space",
                    "lists",
                    "requests",
                    settings,
                ],
                outputs="logged_click_figures",
            ),
            Node(
                summarise_evaluation,
                name="summarise_evaluation",
                inputs=[
                    "list_judgements",
                    "exact_judgements",
                    "judge_agreement",
                    "evaluator_quality",
                    "logged_click_figures",
                    "log_support",
                    settings,
                ],
                outputs="metrics",
            ),
            Node(
                pick_examples,
                name="pick_examples",
                inputs=["lists", "items", "evaluated_lists", "list_judgements"],
                outputs="example_lists",
            ),
            Node(
                lay_out_lists,
                name="lay_out_lists",
                inputs=["metrics", "list_judgements", "judge_agreement", "example_lists"],
                outputs="list_content",
            ),
            Node(
                lay_out_models,
                name="lay_out_models",
                inputs=[
                    "mining_evaluator_history",
                    "external_evaluator_history",
                    "generator_history",
                    "evaluator_calibration",
                    "ranking_score_quality",
                    "diagnostics",
                    "head_choice",
                ],
                outputs="model_content",
            ),
            Node(
                write_report,
                name="write_report",
                inputs=["metrics", "list_content", "model_content", settings, "requests", "run_facts"],
                outputs="evaluation_report",
            ),
        ],
        namespace="evaluation",
        prefix_datasets_with_namespace=False,
    )
