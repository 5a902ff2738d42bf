"""Names are allowed exactly where a real MLflow can log, register and find a model of that name."""

import mlflow
import pytest
from mlflow.exceptions import MlflowException
from mlflow.utils.validation import _validate_logged_model_name

from degre_pipeline.release.aliases import positions
from degre_pipeline.release.model_names import check_model_name

REFUSED = ["", " ", " a", "a ", "a\nb", "x" * 201]
REFUSED += ["team/ranker", "a:b", "reranker.v2", "a%b", "O'Reilly", 'a"b', "a\\b"]


@pytest.mark.parametrize("name", [*REFUSED, None, 7])
def test_a_name_that_cannot_be_used_is_named(name: object) -> None:
    with pytest.raises(ValueError, match=r"registration\.model_name is .*; allowed: 1 to 200 letters"):
        check_model_name(name)


@pytest.mark.parametrize("name", ["a", "degre_reranker", "Ränge 1", "a-b+c=(d)", "x" * 200])
def test_an_allowed_name_is_registered_and_found(registry: mlflow.MlflowClient, name: str) -> None:
    check_model_name(name)
    _validate_logged_model_name(name)
    registry.create_registered_model(name)
    registry.create_model_version(name, "file:///nowhere")
    registry.set_registered_model_alias(name, "champion", "1")
    assert positions(registry, name) == {"champion": 1}


@pytest.mark.parametrize("mark", [*"/:.%\"'"])
def test_every_mark_that_mlflow_refuses_is_refused(mark: str) -> None:
    with pytest.raises(MlflowException):
        _validate_logged_model_name(f"a{mark}b")
    with pytest.raises(ValueError, match="allowed"):
        check_model_name(f"a{mark}b")
