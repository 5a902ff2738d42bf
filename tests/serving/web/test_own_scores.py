"""A service whose model scores candidates itself, beside one with a version that cannot."""

import sys

import mlflow
import pytest
import service_process
from service_process import ready
from small_models import REQUESTS, SPACE, register, trained, trained_ranking

from degre_pipeline.serving.model.ranking_model import build_ranking_model
from degre_pipeline.serving.model.request_schema import without_ranking_score
from degre_pipeline.serving.model.reranking_model import build_reranker
from degre_pipeline.serving.model.signature import as_record

BARE = [without_ranking_score(request) for request in REQUESTS]


@pytest.fixture(scope="module")
def own_score():
    ranking = trained_ranking()
    return build_ranking_model(ranking.weights, ranking.space)


@pytest.fixture(scope="module")
def scoring_registry(shared_registry):
    """The shared registry with a champion that scores candidates itself."""
    uri, path = mlflow.get_tracking_uri(), list(sys.path)
    mlflow.set_tracking_uri(shared_registry.uri)
    experiment = mlflow.create_experiment("own", (shared_registry.folder / "own").as_uri())
    mlflow.set_experiment(experiment_id=experiment)
    shared_registry.promote(register(0, trained_ranking()))
    mlflow.set_tracking_uri(uri)
    sys.path[:] = path
    return shared_registry


@pytest.mark.parametrize("runner", ["eager", pytest.param("onnxruntime", marks=pytest.mark.slow)])
def test_requests_without_a_score_are_ranked_by_the_model_and_its_own(
    scoring_registry, tmp_path, own_score, runner
):
    expected = build_reranker(trained(0), SPACE, own_score)
    with service_process.service(
        scoring_registry.uri, tmp_path, "--runner", runner, "--deadline-ms", "2000"
    ) as client:
        ready(client, "3")
        assert client.version()["runner"] == runner
        for requests in (BARE, REQUESTS):
            status, answer = client.rerank({"requests": [as_record(request) for request in requests]})
            assert status == 200
            for one, ranked in zip(answer["lists"], expected.rerank(requests), strict=True):
                assert one["fallback"] is None
                assert one["item_ids"] == list(ranked.item_ids)
        half = as_record(BARE[0])
        half["candidates"][0]["ranking_score"] = 0.5
        assert client.rerank(half)[0] == 422
        scoring_registry.promote("1")
        ready(client, "1")
        assert client.rerank(as_record(BARE[0]))[0] == 422  # which has no score of its own
        scoring_registry.promote("3")


def test_the_fallback_of_requests_without_a_score_is_in_the_order_of_the_models_own(
    scoring_registry, tmp_path, own_score
):
    scored = own_score.scored(BARE[:1])[0].candidates
    order = sorted(range(4), key=lambda place: -scored[place]["ranking_score"])
    assert order != sorted(order)
    with service_process.service(
        scoring_registry.uri, tmp_path, "--runner", "eager", "--deadline-ms", "0.01"
    ) as client:
        ready(client, "3")
        only = client.rerank(as_record(BARE[0]))[1]["lists"][0]
        kept = client.rerank(as_record(REQUESTS[0]))[1]["lists"][0]
    assert (only["fallback"], kept["fallback"]) == ("deadline", "deadline")
    assert only["candidate_indices"] == order[:3]
    assert kept["candidate_indices"] == [0, 1, 2]
