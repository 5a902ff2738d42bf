from dataclasses import replace
from typing import Any

import pytest
import torch

from degre_pipeline.pipelines.evaluator_training.nodes import (
    train_external_evaluator,
    train_mining_evaluator,
)
from degre_pipeline.reranker.features import FeatureSpace
from degre_pipeline.reranker.head_choice import HeadRow
from degre_pipeline.reranker.models.model_config import EvaluatorConfig
from degre_pipeline.reranker.models.stored_models import TrainedWeights, restore_evaluator
from degre_pipeline.reranker.requests import Requests
from degre_pipeline.reranker.search.beam import beam_search
from degre_pipeline.reranker.training.epoch_records import EpochMiningConfig
from degre_pipeline.reranker.training.loop import NotANumberError
from degre_pipeline.reranker.training.step_configs import EvaluatorTrainingConfig
from degre_pipeline.reranker.training.training_config import TrainingConfig

MODEL = EvaluatorConfig(embedding_dim=4, width=8, layers=1, heads=2, feedforward=16)
TRAINING = TrainingConfig(epochs=2, batch_size=64, learning_rate=5e-3, device="cpu")
CONFIG = EvaluatorTrainingConfig(MODEL, TRAINING, external_seed=7)


def covered(coverage: float) -> list[dict[str, Any]]:
    return [{"subject": "log", "judge": "log", "metric": "slot_coverage", "value": coverage}]


VARIED = covered(1.0)
NAMED: list[HeadRow] = []  # the settings name the head
Data = tuple[Requests, FeatureSpace]


def with_flipped_clicks(data: Data, split: str, role: str) -> Data:
    requests = data[0]
    ids = requests.of(split, role).request_id
    flipped = torch.where(torch.isin(requests.request_id, ids)[:, None], 1 - requests.clicks, requests.clicks)
    return replace(requests, clicks=flipped), data[1]


def same(one: TrainedWeights, other: TrainedWeights) -> bool:
    return all(torch.equal(tensor, other.weights[name]) for name, tensor in one.weights.items())


@pytest.fixture(scope="module")
def mining(shop_data: Data) -> TrainedWeights:
    return train_mining_evaluator(*shop_data, VARIED, CONFIG)[0]


@pytest.fixture(scope="module")
def external(shop_data: Data) -> TrainedWeights:
    return train_external_evaluator(*shop_data, NAMED, CONFIG)[0]


def test_an_evaluator_and_its_history_come_back(shop_data: Data) -> None:
    trained, history, mined, rows = train_mining_evaluator(*shop_data, VARIED, CONFIG)
    requests = shop_data[0]

    assert mined == {}
    assert rows == []
    assert list(history["epoch"]) == [1, 2]
    assert history["validation_loss"].iloc[1] < history["validation_loss"].iloc[0]
    assert restore_evaluator(trained)(requests.static, requests.candidates[:, :4]).shape == (1250, 4, 4)


@pytest.mark.parametrize("split", ["train", "test"])
def test_each_evaluator_learns_from_its_own_training_requests_alone(
    shop_data: Data, mining: TrainedWeights, external: TrainedWeights, split: str
) -> None:
    for role in ("mining", "external"):
        changed = with_flipped_clicks(shop_data, split, role)
        learned_mining = train_mining_evaluator(*changed, VARIED, CONFIG)[0]
        learned_external = train_external_evaluator(*changed, NAMED, CONFIG)[0]

        assert same(mining, learned_mining) == (role != "mining" or split == "test")
        assert same(external, learned_external) == (role != "external" or split == "test")


def test_the_external_evaluator_has_its_own_seed(shop_data: Data, external: TrainedWeights) -> None:
    miners, own = replace(CONFIG, training=replace(TRAINING, seed=3)), replace(CONFIG, external_seed=8)
    assert same(external, train_external_evaluator(*shop_data, NAMED, miners)[0])
    assert not same(external, train_external_evaluator(*shop_data, NAMED, own)[0])


def test_an_evaluator_without_requests_to_learn_from_is_named(shop_data: Data) -> None:
    tensors, space = shop_data
    nobody = replace(tensors, role=torch.ones_like(tensors.role))

    with pytest.raises(ValueError, match="no request has split 'train' and role 'mining'"):
        train_mining_evaluator(nobody, space, VARIED, CONFIG)


def test_weights_that_are_no_numbers_stop_training(shop_data: Data) -> None:
    hasty = replace(CONFIG, training=replace(TRAINING, learning_rate=1e35))
    with pytest.raises(NotANumberError, match=r"external evaluator: .*loss is (nan|inf)"):
        train_external_evaluator(*shop_data, NAMED, hasty)


def test_lists_without_clicks_can_be_left_out(shop_data: Data) -> None:
    tensors, space = shop_data
    clicked = tensors
    clicked = clicked.select((clicked.clicks.sum(1) > 0).nonzero()[:, 0])
    without = replace(CONFIG, lists_without_clicks=False)
    left_out = train_mining_evaluator(tensors, space, VARIED, without)[0]

    assert 0 < len(clicked) < len(tensors)
    assert same(left_out, train_mining_evaluator(clicked, space, VARIED, CONFIG)[0])
    assert not same(left_out, train_mining_evaluator(tensors, space, VARIED, CONFIG)[0])


@pytest.mark.parametrize("members", [1, 2])
def test_each_epochs_evaluator_mines_and_changes_nothing(shop_data: Data, members: int) -> None:
    config = replace(CONFIG, model=replace(MODEL, members=members))
    watched = replace(config, epoch_mining=EpochMiningConfig(requests=9, beam_size=3))
    trained, _, mined, _ = train_mining_evaluator(*shop_data, VARIED, watched)
    requests = shop_data[0].with_ids(mined["request_id"])
    found = beam_search(restore_evaluator(trained), requests, beam_size=3)  # the last epoch was the best

    assert same(trained, train_mining_evaluator(*shop_data, VARIED, config)[0])
    assert (requests.split == 1).all()
    assert (requests.role == 0).all()
    assert mined["sequences"].shape == (2, 9, 4)
    assert torch.equal(mined["sequences"][1], found.sequences[:, 0].int())
    torch.testing.assert_close(mined["values"][1], found.values[:, 0], atol=1e-5, rtol=0)
    assert not torch.equal(mined["values"][0], mined["values"][1])


def test_no_more_requests_are_watched_than_there_are(shop_data: Data) -> None:
    watch = EpochMiningConfig(requests=10_000, beam_size=1)
    training = replace(TRAINING, epochs=1)
    config = replace(CONFIG, training=training, epoch_mining=watch)
    mined = train_mining_evaluator(*shop_data, VARIED, config)[2]
    held_out = shop_data[0].of("validation", "mining")
    assert torch.equal(mined["request_id"], held_out.request_id)


@pytest.mark.parametrize(("name", "value"), [("requests", -1), ("beam_size", 0), ("beam_size", 10_001)])
def test_settings_of_epoch_mining_are_checked(name: str, value: int) -> None:
    with pytest.raises(ValueError, match=f"{name} is {value}; allowed"):
        EpochMiningConfig(**{name: value})


@pytest.mark.parametrize(("coverage", "head"), [(0.79, "appeal"), (0.8, "slot_clicks")])
def test_the_head_is_what_the_measured_log_supports(shop_data: Data, coverage: float, head: str) -> None:
    left_open = replace(MODEL, head="by_support")
    config = replace(CONFIG, model=left_open, training=replace(TRAINING, epochs=1))
    mining, _, _, rows = train_mining_evaluator(*shop_data, covered(coverage), config)
    external = train_external_evaluator(*shop_data, rows, config)[0]
    assert mining.config["settings"]["head"] == external.config["settings"]["head"] == head


class TestInOne:
    CONFIG = replace(CONFIG, model=replace(MODEL, members=2, in_one=True))

    def test_the_miner_is_one_and_was_several(self, shop_data: Data) -> None:
        trained, _, _, _ = train_mining_evaluator(*shop_data, VARIED, self.CONFIG)
        several = replace(CONFIG, model=replace(MODEL, members=2))

        assert len(restore_evaluator(trained).members) == 1
        assert not same(trained, train_mining_evaluator(*shop_data, VARIED, CONFIG)[0])
        assert len(restore_evaluator(train_mining_evaluator(*shop_data, VARIED, several)[0]).members) == 2

    def test_the_judge_has_members_of_its_own(self, shop_data: Data, external: TrainedWeights) -> None:
        assert same(external, train_external_evaluator(*shop_data, NAMED, self.CONFIG)[0])

    def test_a_day_that_goes_on_from_the_champion_trains_one(self, shop_data: Data) -> None:
        trained = train_mining_evaluator(*shop_data, VARIED, self.CONFIG)[0]
        on, history, _, _ = train_mining_evaluator(*shop_data, VARIED, self.CONFIG, start=trained)

        assert on.config["settings"]["members"] == 1
        assert len(history) == TRAINING.warm().epochs
        alone = replace(CONFIG, model=MODEL)
        assert same(on, train_mining_evaluator(*shop_data, VARIED, alone, start=trained)[0])
