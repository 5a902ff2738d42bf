from dataclasses import replace

import mlflow
import pytest
import torch

from degre_pipeline.pipelines.registration.pipeline import create_pipeline
from degre_pipeline.release import ledger, registration
from degre_pipeline.release.registration import metric_tags
from degre_pipeline.reranker.features import NO_FEATURES, FeatureSpace
from degre_pipeline.reranker.models.pointwise import PointwiseClickModel
from degre_pipeline.reranker.models.stored_models import (
    FROM_NOTHING,
    TrainedWeights,
    restore_generator,
    store_ranking_model,
)
from degre_pipeline.serving.model.example_requests import lists_to_compare
from small_shop import register_shop, small_generator

pytestmark = pytest.mark.usefixtures("programs_made_once")
METRICS = [
    {"subject": "generator", "judge": "truth", "metric": "utility_over_ranking_order", "value": 0.0625},
    {"subject": "generator", "judge": "external", "metric": "hr1", "value": 0.5},
    {"subject": "generator", "judge": "external", "metric": "ndcg", "value": 0.7},
    {"subject": "generator", "judge": "truth", "metric": "regret", "value": None},
    {"subject": "beam", "judge": "external", "metric": "hr3", "value": 0.9},
    {"subject": "beam", "judge": "external", "metric": "hr1", "value": 0.9},
]

MINING, EXTERNAL = (
    TrainedWeights({"w": torch.full((2,), value)}, {"model": "evaluator"}) for value in (1.0, 2.0)
)


def register(shop, run_date="2026-01-31", ranking=(FROM_NOTHING, NO_FEATURES), **changed):
    return register_shop(
        replace(shop, **changed),
        metrics=METRICS,
        mining_evaluator=MINING,
        external_evaluator=EXTERNAL,
        run_date=run_date,
        ranking=ranking,
    )


def test_registers_in_the_open_run_and_makes_it_the_challenger(shop, registry):
    with mlflow.start_run() as run:
        mlflow.set_tags({"git_commit": "abc123", "unrelated": "yes"})
        registered = register(shop)
        assert mlflow.active_run().info.run_id == run.info.run_id
    assert registered == {
        "name": "reranker",
        "version": 1,
        "uri": "models:/reranker/1",
        "run_id": run.info.run_id,
    }
    version = registry.get_model_version_by_alias("reranker", "challenger")
    assert (int(version.version), version.run_id) == (1, run.info.run_id)
    assert len(version.tags.pop("identity")) == 64
    assert version.tags == {
        "run_date": "2026-01-31",
        "source": "simulated_shop",
        "data": "simulated",
        "git_commit": "abc123",
        "log_last_day": "2026-01-31",
        "training_first_day": "2026-01-27",
        "training_last_day": "2026-01-30",
        "external_share": "0.3",
        "split_seed": "0",
        "truth.utility_over_ranking_order": "0.0625",
        "external.hr1": "0.5",
    }

    model = mlflow.pyfunc.load_model("models:/reranker@challenger")
    assert model.metadata.metadata == {"run_date": "2026-01-31", "git_commit": "abc123"}
    example = model.input_example
    assert len(example) == 2
    assert set(example[0]) == {"request_id", "user", "context", "candidates"}
    row = shop.encoded.request_id.tolist().index(example[0]["request_id"])
    encoded = shop.encoded.select(slice(row, row + 1))
    wanted, _ = restore_generator(shop.generator).greedy_decode(
        encoded.static, encoded.candidates, encoded.mask
    )
    assert model.predict(example)["candidate_indices"][0] == wanted[0].tolist()


def test_the_same_day_and_configuration_again_adds_no_version(shop, registry):
    first = register(shop)
    assert register(shop) == first
    assert [version.version for version in registry.search_model_versions("name = 'reranker'")] == [1]
    other = register(shop, generator=small_generator(shop.feature_space, seed=1))
    another_day = register(shop, run_date="2026-02-01")
    assert (other["version"], another_day["version"]) == (2, 3)
    assert register(shop) == first
    assert int(registry.get_model_version_by_alias("reranker", "challenger").version) == 1


def test_a_registration_that_another_run_finished_first_adds_no_version(shop, registry, monkeypatch):
    """Both had looked before either of them registered."""
    first = register(shop)
    looks = iter([None])
    look = registration.registered_before
    monkeypatch.setattr(
        registration, "registered_before", lambda name, identity: next(looks, look(name, identity))
    )
    assert register(shop) == first
    assert len(registry.search_model_versions("name = 'reranker'")) == 1


def test_of_two_machines_that_register_at_once_the_first_ones_version_stays(shop, registry, monkeypatch):
    """A server's clients do not see each other's locks: they look again after registering."""
    first = register(shop)
    looks = iter([None, None])
    look = registration.registered_before
    monkeypatch.setattr(
        registration, "registered_before", lambda name, identity: next(looks, look(name, identity))
    )
    assert register(shop) == first
    assert [int(one.version) for one in registry.search_model_versions("name = 'reranker'")] == [1]
    assert int(registry.get_model_version_by_alias("reranker", "challenger").version) == 1


def test_every_move_of_the_challenger_is_in_the_ledger(shop, registry):
    register(shop)
    register(shop)
    register(shop, run_date="2026-02-01")
    newest, oldest = [entry.move for entry in ledger.entries(registry, "reranker")]
    assert (newest.alias, newest.from_version, newest.to_version) == ("challenger", 1, 2)
    assert (oldest.alias, oldest.from_version, oldest.to_version) == ("challenger", None, 1)
    assert newest.why == "newest model, of a log up to 2026-01-31"  # whatever the date of the run
    assert newest.who.startswith("registration, run by ")
    assert not newest.flagged


def test_a_champion_set_by_hand_is_noticed_by_the_next_registration(shop, registry):
    register(shop)
    registry.set_registered_model_alias("reranker", "champion", "1")
    register(shop)
    found = ledger.last(registry, "reranker", "champion")
    assert (found.from_version, found.to_version, found.who, found.flagged) == (None, 1, "unknown", True)


def test_opens_a_run_of_its_own_when_there_is_none(shop, registry):
    registered = register(shop)
    assert mlflow.active_run() is None
    assert registry.get_run(registered["run_id"]).info.status == "FINISHED"


def test_a_model_that_ranks_otherwise_is_not_registered(shop, registry):
    skewed = replace(shop.encoded, candidates=shop.encoded.candidates.roll(1, dims=1))
    with pytest.raises(ValueError, match=r"request \d+: the served model ranks candidates .*; allowed: "):
        register(shop, encoded=skewed)
    assert mlflow.active_run() is None
    assert registry.search_registered_models() == []


def test_a_generator_of_another_feature_space_is_not_registered(shop, registry):
    other = replace(shop.feature_space, edges=dict.fromkeys(shop.feature_space.edges, (0.0,)))
    with pytest.raises(ValueError, match="was trained with feature space"):
        register(shop, feature_space=other)
    assert registry.search_registered_models() == []


@pytest.fixture
def ranking(shop):
    """An untrained ranking model for all fields of the shop but the score, and what it reads."""
    whole = shop.feature_space
    space = FeatureSpace(
        tuple(field for field in whole.fields if field.group != "score"), whole.vocabularies, whole.edges
    )
    model = PointwiseClickModel(space.sizes(), 4)
    return store_ranking_model(model, space.sizes(), 4, space.identity), space


def test_what_scores_candidates_in_place_of_a_log_goes_with_the_model(shop, registry, ranking):
    register(shop, ranking=ranking)
    model = mlflow.pyfunc.load_model("models:/reranker@challenger")
    assert "ranking_score" not in model.input_example[0]["candidates"][0]
    assert len(model.predict(model.input_example)["item_ids"][0]) == 4


def test_a_ranking_model_of_another_feature_space_is_not_registered(shop, registry, ranking):
    model, space = ranking
    with pytest.raises(ValueError, match="the stored ranking was trained with feature space"):
        register(shop, ranking=(model, replace(space, edges=dict.fromkeys(space.edges, (0.0,)))))
    assert registry.search_registered_models() == []


def test_compares_test_requests(shop):
    chosen = lists_to_compare(shop.lists, 3)
    assert chosen["split"].to_list() == ["test"] * 3
    without_test = shop.lists[shop.lists["split"] != "test"]
    assert len(lists_to_compare(without_test, 3)) == 3


def test_too_few_lists_for_an_example_are_refused(shop):
    with pytest.raises(ValueError, match="there are 1 lists; allowed: 2 or more"):
        lists_to_compare(shop.lists.head(1), 3)


def test_only_known_figures_of_the_generator_become_tags():
    assert metric_tags(METRICS) == {"truth.utility_over_ranking_order": "0.0625", "external.hr1": "0.5"}


def test_pipeline_reads_the_catalog_and_writes_what_was_registered():
    pipeline = create_pipeline()
    assert pipeline.outputs() == {"registered_model"}
    assert {"generator", "feature_space", "request_tensors", "params:run_date"} <= pipeline.inputs()
