from dataclasses import replace
from typing import Any

import pandas as pd
import pytest
import torch

from degre_pipeline.datasets import ShardsDataset
from degre_pipeline.datasets.shards import LoadedShards
from degre_pipeline.pipelines.generator_distillation.nodes import distill_generator, gather_mined, load_mined
from degre_pipeline.pipelines.mining.nodes import mine_lookahead_sequences
from degre_pipeline.reranker.distillation import agreement_with_teacher
from degre_pipeline.reranker.features import FeatureSpace
from degre_pipeline.reranker.lookahead_mining import mine
from degre_pipeline.reranker.models.builders import build_evaluator
from degre_pipeline.reranker.models.model_config import EvaluatorConfig, GeneratorConfig
from degre_pipeline.reranker.models.stored_models import (
    TrainedWeights,
    restore_evaluator,
    restore_generator,
    store,
)
from degre_pipeline.reranker.replay import places_among_shown
from degre_pipeline.reranker.requests import Requests
from degre_pipeline.reranker.search.mining_config import MiningConfig
from degre_pipeline.reranker.training.objectives import DistillationConfig
from degre_pipeline.reranker.training.step_configs import GeneratorDistillationConfig
from degre_pipeline.reranker.training.training_config import TrainingConfig

SHAPE: dict[str, Any] = {"embedding_dim": 8, "width": 16, "layers": 1, "heads": 2, "feedforward": 32}
MODEL = GeneratorConfig(**SHAPE, dropout=0.0)
TRAINING = TrainingConfig(epochs=3, batch_size=32, learning_rate=1e-2, device="cpu")
VARIED = [{"subject": "log", "judge": "log", "metric": "slot_coverage", "value": 1.0}]
UNVARIED = [VARIED[0] | {"value": 0.1}]
SEARCH = MiningConfig()
NO_TABLE = pd.DataFrame()  # of lists; only read where slots do not vary

Data = tuple[Requests, FeatureSpace]


@pytest.fixture(scope="module")
def evaluator(shop_data: Data) -> TrainedWeights:
    torch.manual_seed(5)
    sizes = shop_data[1].sizes()
    config = EvaluatorConfig(**SHAPE)
    return store(build_evaluator(sizes, 4, config), sizes, 4, config, shop_data[0].encoding)


@pytest.fixture(scope="module")
def sequences(
    shop_data: Data, evaluator: TrainedWeights, tmp_path_factory: pytest.TempPathFactory
) -> LoadedShards:
    config = MiningConfig(beam_size=2, shard_size=100, most_requests=160, device="cpu")
    dataset = ShardsDataset(str(tmp_path_factory.mktemp("shards")))
    dataset.save(mine_lookahead_sequences(shop_data[0], evaluator, config))
    return dataset.load()


def distilled(
    data: Data, sequences: LoadedShards, evaluator: TrainedWeights, epochs: int = 3, **settings: Any
) -> tuple[TrainedWeights, Any]:
    training = replace(TRAINING, epochs=epochs, patience=epochs)
    config = DistillationConfig(**settings)
    return from_sequences(data, sequences, evaluator, GeneratorDistillationConfig(MODEL, training, config))


def from_sequences(
    data: Data,
    sequences: LoadedShards,
    evaluator: TrainedWeights,
    config: GeneratorDistillationConfig,
    *,
    log_support: list[dict[str, Any]] = VARIED,
    lists: pd.DataFrame = NO_TABLE,
    search: MiningConfig = SEARCH,
) -> tuple[TrainedWeights, Any]:
    """Returns what the two nodes, one after the other, make of mined sequences."""
    tensors, space = data
    mined = gather_mined(tensors, sequences, evaluator, lists, log_support, config, search)
    return distill_generator(mined, space, evaluator, config)


def test_the_generator_learns_what_was_mined(
    shop_data: Data, sequences: LoadedShards, evaluator: TrainedWeights
) -> None:
    trained, history = distilled(shop_data, sequences, evaluator, epochs=25)
    mined = load_mined(shop_data[0], evaluator, sequences)
    learned = mined.select((mined.requests.split == 0).nonzero()[:, 0])
    agreement = agreement_with_teacher(restore_generator(trained), learned, TRAINING)

    assert len(learned) == 160
    # One list in 1,680 and one first item in 8 agree by chance.
    assert agreement["same_list"] > 0.3
    assert agreement["same_list"] <= agreement["same_items"]
    assert agreement["same_first_item"] > 0.6
    assert history["training_loss"].iloc[-1] < 0.5 * history["training_loss"].iloc[0]
    assert {"epoch", "validation_loss", "same_list", "same_items", "same_first_item"} <= set(history)


def test_agreement_by_hand(shop_data: Data, sequences: LoadedShards, evaluator: TrainedWeights) -> None:
    generator = restore_generator(distilled(shop_data, sequences, evaluator, epochs=1)[0])
    mined = load_mined(shop_data[0], evaluator, sequences).select(slice(0, 4))
    requests = mined.requests
    lists, _ = generator.greedy_decode(requests.static, requests.candidates, requests.mask)
    lists[1] = lists[1].flip(0)
    lists[2, 1] = next(item for item in range(8) if item not in lists[2])
    lists[3] = torch.tensor([item for item in range(8) if item not in lists[3]])
    teacher = replace(mined, sequences=lists[:, None].to(torch.int8))

    assert agreement_with_teacher(generator, teacher, replace(TRAINING, batch_size=3)) == {
        "same_list": 0.25,
        "same_items": 0.5,
        "same_first_item": 0.5,
    }


def test_the_exposed_teacher_imitates_what_was_shown(
    shop_data: Data, sequences: LoadedShards, evaluator: TrainedWeights
) -> None:
    trained, _ = distilled(shop_data, sequences, evaluator, epochs=25, teacher="exposed")
    mined = load_mined(shop_data[0], evaluator, sequences)
    learned = mined.select((mined.requests.split == 0).nonzero()[:, 0])
    shown = replace(learned, sequences=learned.requests.exposed[:, None])
    generator = restore_generator(trained)
    first = [
        agreement_with_teacher(generator, some, TRAINING)["same_first_item"] for some in (shown, learned)
    ]

    assert first[0] > first[1] + 0.2


def test_a_warm_start_begins_with_the_evaluators_embeddings(
    shop_data: Data, sequences: LoadedShards, evaluator: TrainedWeights
) -> None:
    training = replace(TRAINING, epochs=1, learning_rate=1e-12)
    names = ("features.static.table.weight", "features.candidate.table.weight")
    for warm_start in (True, False):
        config = DistillationConfig(warm_start=warm_start)
        distillation = GeneratorDistillationConfig(MODEL, training, config)
        trained, _ = from_sequences(shop_data, sequences, evaluator, distillation)
        equal = [torch.allclose(trained.weights[name], evaluator.weights[name], atol=1e-6) for name in names]

        assert equal == [warm_start] * 2


def test_test_requests_and_clicks_do_not_matter(
    shop_data: Data, sequences: LoadedShards, evaluator: TrainedWeights
) -> None:
    tensors, space = shop_data
    clicked = (replace(tensors, clicks=1 - tensors.clicks), space)
    one, other = (distilled(data, sequences, evaluator, epochs=1)[0].weights for data in (shop_data, clicked))

    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def test_sequences_of_other_requests_or_of_another_evaluator_are_refused(
    shop_data: Data, sequences: LoadedShards, evaluator: TrainedWeights
) -> None:
    tensors = shop_data[0]
    other_scores = replace(tensors, scores=tensors.scores + 1)
    retrained = replace(evaluator, weights={name: t + 1 for name, t in evaluator.weights.items()})

    for stale in ((other_scores, evaluator), (tensors, retrained)):
        with pytest.raises(ValueError, match="mined from other request tensors or by another evaluator"):
            load_mined(*stale, sequences)


@pytest.mark.parametrize("put_first", [True, False])
def test_where_slots_do_not_vary_clicks_that_nobody_learned_from_decide(
    shop_data: Data, sequences: LoadedShards, evaluator: TrainedWeights, put_first: bool
) -> None:
    """Clicks of every request stand where the evaluator's best lists put them first, or in the last slot."""
    tensors, space = shop_data
    requests = tensors
    best = mine(
        restore_evaluator(evaluator), requests, torch.arange(len(requests)), MiningConfig(device="cpu")
    )
    places = places_among_shown(best["sequences"][:, 0].long(), requests)
    wanted = places == (1 if put_first else 4)
    data = replace(requests, clicks=(wanted & requests.exposed_mask).float()), space
    lists = pd.DataFrame({"request_id": requests.request_id.numpy(), "user_id": range(len(requests))})
    config = GeneratorDistillationConfig(MODEL, replace(TRAINING, epochs=1), DistillationConfig())
    unvaried = {"log_support": UNVARIED, "lists": lists, "search": MiningConfig(device="cpu")}
    if put_first:
        from_sequences(data, sequences, evaluator, config, **unvaried)
    else:
        with pytest.raises(ValueError, match=r"did not learn from, gain -.*no generator is trained"):
            from_sequences(data, sequences, evaluator, config, **unvaried)
