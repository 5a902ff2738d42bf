"""What can be known of the registry before anything trains, with a real MLflow database."""

import mlflow
import pytest

from degre_pipeline.release.registry import check_registry

MODEL = "reranker"
SHOP, OWN = ("simulated_shop", "simulated"), ("request_log_files", "own")


def with_version(client: mlflow.MlflowClient, tags: dict[str, str]) -> None:
    client.create_model_version(MODEL, "file:///nowhere", tags=tags)


def test_a_new_name_is_free_for_any_data(registry: mlflow.MlflowClient) -> None:
    check_registry(MODEL, SHOP)
    check_registry(MODEL, OWN)


def test_a_name_belongs_to_the_data_of_its_newest_version_that_says(registry: mlflow.MlflowClient) -> None:
    registry.create_registered_model(MODEL)
    with_version(registry, {"source": SHOP[0], "data": SHOP[1]})
    with_version(registry, {})  # of a time when versions did not say
    check_registry(MODEL, SHOP)
    named = (
        "'reranker', whose version 1 learned from other data: source 'simulated_shop', data 'simulated', "
        "now 'request_log_files' and 'own'; allowed: a name of its own"
    )
    with pytest.raises(ValueError, match=named):
        check_registry(MODEL, OWN)
    with pytest.raises(ValueError, match="'simulated_shop' and 'other'"):
        check_registry(MODEL, (SHOP[0], "other"))


def test_a_name_that_cannot_be_registered_is_refused(registry: mlflow.MlflowClient) -> None:
    with pytest.raises(ValueError, match="model_name is 'team/ranker'"):
        check_registry("team/ranker", SHOP)
