"""Texts in MLflow's filters, with a real MLflow database."""

import mlflow
import pytest

from degre_pipeline.hooks.workflow_run import TAG, find_or_create_run
from degre_pipeline.release.day_version import version_of_day
from degre_pipeline.release.filters import quoted


@pytest.mark.parametrize("text", ["daily", "daily o'clock", 'the "best" one', "50%", "x = 1 and y", "ü #1"])
def test_a_workflow_of_any_name_finds_its_run_and_no_other(registry: mlflow.MlflowClient, text: str) -> None:
    experiment = mlflow.create_experiment("runs")
    other = find_or_create_run(experiment, "another")
    made = find_or_create_run(experiment, text)
    assert find_or_create_run(experiment, text) == made != other
    assert registry.get_run(made).data.tags[TAG] == text


def test_a_value_cannot_become_a_condition(versions: mlflow.MlflowClient) -> None:
    versions.set_model_version_tag("reranker", "1", "run_date", "2026-02-01")
    injected = "2026-03-01' and tags.gate_outcome = 'promote"
    with pytest.raises(ValueError, match="has no version; allowed: a day whose model is registered"):
        version_of_day(versions, "reranker", injected)


@pytest.mark.parametrize("text", ["both ' and \"", "a\\", "a\\' or"])
def test_what_no_filter_can_hold_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="cannot be searched for in MLflow; allowed: "):
        quoted(text)
