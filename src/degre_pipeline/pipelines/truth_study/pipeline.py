"""Encoded lists to what mined and generated lists are worth by many judges."""

from kedro.pipeline import Node, Pipeline

from degre_pipeline.pipelines.truth_study.nodes import (
    describe_study,
    judge_study,
    read_recipe,
    run_arms,
    summarise_study,
    train_study_judges,
    value_random_lists,
)


def create_pipeline() -> Pipeline:
    """Returns the truth-study pipeline."""
    study, settings = "params:truth_study.study", "params:truth_study.settings"
    return Pipeline(
        [
            Node(
                read_recipe,
                name="read_recipe",
                inputs=[
                    "head_choice",
                    "params:evaluator_training",
                    "params:mining.search",
                    "params:generator_distillation",
                ],
                outputs="study_recipe",
            ),
            Node(
                train_study_judges,
                name="train_study_judges",
                inputs=["request_tensors", "feature_space", study, "study_recipe", "study_checkpoints"],
                outputs="study_judges",
            ),
            Node(
                value_random_lists,
                name="value_random_lists",
                inputs=["request_tensors", "study_judges", "click_truth", settings],
                outputs="study_random_list_values",
            ),
            Node(
                run_arms,
                name="run_arms",
                inputs=[
                    "request_tensors",
                    "feature_space",
                    "study_judges",
                    "study_recipe",
                    study,
                    settings,
                    "study_checkpoints",
                ],
                outputs="study_lists",
            ),
            Node(
                judge_study,
                name="judge_study",
                inputs=[
                    "request_tensors",
                    "study_lists",
                    "study_random_list_values",
                    "study_judges",
                    "click_truth",
                    settings,
                ],
                outputs=["study_judgements", "judge_agreement_by_size"],
            ),
            Node(
                summarise_study,
                name="summarise_study",
                inputs=["study_judgements", study, settings],
                outputs="study_rows",
            ),
            Node(
                describe_study,
                name="describe_study",
                inputs=["study_rows", "judge_agreement_by_size", "run_facts"],
                outputs=["study_tables", "study_picture", "study_report"],
            ),
        ],
        namespace="truth_study",
        prefix_datasets_with_namespace=False,
    )
