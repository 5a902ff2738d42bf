"""The model that scores candidates where no ranking score comes."""

import json
import math
import sys
from dataclasses import replace

import mlflow
import pytest
import torch
from requests_to_serve import sample_requests

from degre_pipeline.reranker.features import FeatureSpace
from degre_pipeline.reranker.models.pointwise import PointwiseClickModel
from degre_pipeline.reranker.models.stored_models import restore_ranking_model, store_ranking_model
from degre_pipeline.serving.model.packaging import TrainedRanking, log_reranker
from degre_pipeline.serving.model.program import export_ranking_model, save_program
from degre_pipeline.serving.model.ranking_model import RankingModel, build_ranking_model, load_ranking_model
from degre_pipeline.serving.model.request_schema import Request, without_ranking_score
from degre_pipeline.serving.model.reranking_model import build_reranker
from degre_pipeline.serving.model.served_files import DIGESTS_TAG, check_digests, digests_of, files_of
from degre_pipeline.serving.model.signature import as_record
from degre_pipeline.serving.model.stored_example import StoredExample

BARE = [without_ranking_score(request) for request in sample_requests()]


def untrained(space: FeatureSpace, seed: int = 0) -> TrainedRanking:
    torch.manual_seed(seed)
    model = PointwiseClickModel(space.sizes(), 4)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(4.0)
    return TrainedRanking(store_ranking_model(model, space.sizes(), 4), space)


@pytest.fixture(scope="module")
def ranking(space) -> TrainedRanking:
    fields = tuple(field for field in space.fields if field.name != "ranking_score")
    edges = {name: edges for name, edges in space.edges.items() if name != "ranking_score"}
    return untrained(FeatureSpace(fields, space.vocabularies, edges))


@pytest.fixture(scope="module")
def own_score(ranking) -> RankingModel:
    return build_ranking_model(ranking.weights, ranking.space)


def scores(request: Request) -> list[float]:
    return [candidate["ranking_score"] for candidate in request.candidates]


def test_scores_are_the_logits_of_the_trained_model(own_score, ranking):
    model, (request, _) = restore_ranking_model(ranking.weights), own_score.scored(BARE)
    static = torch.tensor([[1, 2, 3]])  # new; 33 lies between 20 and 40; weekday 6
    candidates = torch.tensor([[[1, 1, 2, 2], [2, 2, 0, 3], [3, 0, 0, 1], [2, 1, 0, 0]]])
    assert scores(request) == pytest.approx(model(static, candidates)[0].tolist())
    assert [candidate["item_id"] for candidate in request.candidates] == [11, 12, 13, 14]


def test_company_of_a_longer_request_changes_no_score(own_score):
    together, alone = own_score.scored(BARE), [own_score.scored([request])[0] for request in BARE]
    assert [len(request.candidates) for request in together] == [4, 2]
    for one, other in zip(together, alone, strict=True):
        assert scores(one) == pytest.approx(scores(other), abs=1e-5)


def test_a_score_that_came_is_kept(own_score):
    mixed = [sample_requests()[0], BARE[1]]
    found = own_score.scored(mixed)
    assert found[0] is mixed[0]
    assert all(map(math.isfinite, scores(found[1])))


def test_a_score_that_is_no_number_is_a_fault_of_the_model(ranking):
    broken = RankingModel(lambda static, candidates: torch.full((1, 4), torch.nan), ranking.space)
    with pytest.raises(RuntimeError, match=r"the ranking model gives nan to \{'item_id': 11.*allowed: a fin"):
        broken.scored(BARE[:1])


def test_the_stored_program_gives_the_same_scores(own_score, ranking, tmp_path):
    program, features = tmp_path / "ranking.pt2", tmp_path / "ranking.json"
    save_program(export_ranking_model(ranking.weights), program)
    features.write_text(json.dumps(ranking.space.to_dict()))
    loaded = load_ranking_model(program, features)
    for requests in (BARE, BARE[1:], BARE * 50, [replace(BARE[0], candidates=BARE[0].candidates[:1])]):
        for one, other in zip(loaded.scored(requests), own_score.scored(requests), strict=True):
            assert scores(one) == pytest.approx(scores(other), abs=1e-5)


def test_a_program_needs_no_field_of_user_or_context(ranking, tmp_path):
    fields = tuple(field for field in ranking.space.fields if field.per_candidate)
    small = untrained(FeatureSpace(fields, ranking.space.vocabularies, ranking.space.edges))
    program, features = tmp_path / "ranking.pt2", tmp_path / "ranking.json"
    save_program(export_ranking_model(small.weights), program)
    features.write_text(json.dumps(small.space.to_dict()))
    expected = build_ranking_model(small.weights, small.space).scored(BARE)
    for one, other in zip(load_ranking_model(program, features).scored(BARE), expected, strict=True):
        assert scores(one) == pytest.approx(scores(other), abs=1e-5)


def test_weights_of_other_fields_are_refused(ranking, space):
    with pytest.raises(ValueError, match=r"sizes of the ranking model is .*; allowed: "):
        build_ranking_model(ranking.weights, space)


def test_a_reranker_with_it_ranks_as_if_the_scores_had_come(trained, space, own_score):
    reranker = build_reranker(trained, space, own_score)
    assert reranker.rerank(BARE) == reranker.rerank(own_score.scored(BARE))
    with pytest.raises(ValueError, match=r"missing keys \['ranking_score'\]"):
        build_reranker(trained, space).rerank(BARE)


def test_travels_with_the_registered_model(trained, space, ranking, tmp_path, registry):
    own_score = build_ranking_model(ranking.weights, ranking.space)
    path = list(sys.path)
    with mlflow.start_run():
        requests = sample_requests()
        logged = log_reranker(trained, space, requests, name="m", metadata={}, ranking=ranking)
    tags = mlflow.get_logged_model(logged.model_id).tags
    folder = next((tmp_path / "artifacts").rglob("ranking_program.pt2")).parent
    assert files_of(tags) == sorted(path.name for path in folder.iterdir() if path.name in tags[DIGESTS_TAG])
    assert len(check_digests(folder, tags)) == 16

    example = StoredExample.read(folder / "example.json")
    assert ["ranking_score" in one.candidates[0] for one in example.requests] == [True, True, False, False]
    example.check(build_reranker(trained, space, own_score))
    model = mlflow.pyfunc.load_model(logged.model_uri)
    sys.path[:] = path
    assert "ranking_score" not in model.input_example[0]["candidates"][0]
    answer = model.predict([as_record(request) for request in BARE])
    expected = build_reranker(trained, space, own_score).rerank(BARE)
    assert answer["candidate_indices"].to_list() == [list(one.candidate_indices) for one in expected]


def test_half_of_it_is_no_model(tmp_path):
    for name in ("program.pt2", "feature_space.json", "example.json", "ranking_program.pt2"):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(ValueError, match=r"names the files .*'ranking_program.pt2'\]; allowed: "):
        check_digests(tmp_path, {DIGESTS_TAG: digests_of(tmp_path)})
