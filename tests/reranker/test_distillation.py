from dataclasses import replace
from itertools import permutations

import pytest
import torch

from degre_pipeline.reranker.distillation import distill, with_own_prefixes
from degre_pipeline.reranker.mined_requests import MinedRequests
from degre_pipeline.reranker.models.builders import build_evaluator
from degre_pipeline.reranker.models.model_config import EvaluatorConfig, GeneratorConfig
from degre_pipeline.reranker.models.stored_models import restore_evaluator, store
from degre_pipeline.reranker.search.beam import beam_search
from degre_pipeline.reranker.search.valuation import list_values
from degre_pipeline.reranker.training.objectives import DistillationConfig
from degre_pipeline.reranker.training.training_config import TrainingConfig

SHAPE = {"embedding_dim": 8, "width": 16, "layers": 1, "heads": 2, "feedforward": 32}


@pytest.fixture
def teacher(make_evaluator):
    return make_evaluator(head="slot_clicks")


def mined_by(evaluator, requests) -> MinedRequests:
    found = beam_search(evaluator, requests, beam_size=2)
    return MinedRequests.of(requests, found.sequences, found.values, found.step_values)


def test_a_search_that_begins_with_given_items_finds_the_best_list_that_does(teacher, make_requests) -> None:
    requests = make_requests(4, n=5, slots=4)
    given = torch.tensor([[3, 1], [0, 4], [2, 3], [4, 0]])
    found = beam_search(teacher, requests, beam_size=100, given=given)

    for row in range(4):
        lists = torch.tensor(
            [own for own in permutations(range(5), 4) if own[:2] == tuple(given[row].tolist())]
        )
        values = list_values(teacher, requests.select(slice(row, row + 1)), lists[None])[0]
        assert found.sequences[row, 0].tolist() == lists[values.argmax()].tolist()
        assert float(found.values[row, 0]) == pytest.approx(float(values.max()))


def test_a_list_that_has_ended_stays_as_it_is(teacher, make_requests) -> None:
    requests = make_requests(2, n=3, slots=4)
    whole = beam_search(teacher, requests, beam_size=6).sequences[:, 0]
    assert whole[:, 3].tolist() == [-1, -1]
    found = beam_search(teacher, requests, beam_size=2, given=whole)

    assert torch.equal(found.sequences[:, 0], whole)


def test_own_prefixes_are_labelled_by_the_best_completion(teacher, make_generator, make_requests) -> None:
    requests, generator = make_requests(6, n=5, slots=4), make_generator()
    mined = mined_by(teacher, requests)
    grown = with_own_prefixes(generator, teacher, mined, beam_size=100, batch_size=4)
    own = generator.greedy_decode(requests.static, requests.candidates, requests.mask)[0]

    assert torch.equal(grown.sequences[:, 2], own)
    assert torch.equal(grown.sequences[:, :2], mined.sequences)
    assert torch.equal(grown.targets[:, :2], mined.targets)
    assert torch.equal(grown.values[:, 2], mined.values[:, 0])
    for row in range(6):
        for slot in range(4):
            prefix = tuple(own[row, :slot].tolist())
            lists = torch.tensor([some for some in permutations(range(5), 4) if some[:slot] == prefix])
            best = lists[list_values(teacher, requests.select(slice(row, row + 1)), lists[None])[0].argmax()]
            assert int(grown.targets[row, 2, slot]) == int(best[slot])
            assert bool(grown.step_values[row, 2, slot, list(prefix)].isinf().all())


@pytest.mark.parametrize("rounds", [0, 1])
def test_rounds_on_own_prefixes_follow_the_first_training(sizes, make_requests, rounds) -> None:
    config = EvaluatorConfig(**SHAPE)
    teacher = store(build_evaluator(sizes, 4, config), sizes, 4, config)
    mined = mined_by(restore_evaluator(teacher), make_requests(24))
    _, history = distill(
        mined,
        mined,
        teacher,
        sizes=sizes,
        config=GeneratorConfig(**SHAPE),
        training=TrainingConfig(epochs=2, batch_size=8, device="cpu"),
        distillation=DistillationConfig(own_prefix_rounds=rounds),
    )

    assert [row["epoch"] for row in history] == [1, 2, 3, 4][: 2 * (rounds + 1)]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"own_prefix_rounds": -1}, "own_prefix_rounds is -1; allowed: 0 to 10"),
        (
            {"own_prefix_rounds": 1, "teacher": "exposed"},
            "own_prefix_rounds is 1; allowed: .* 0 when teacher is",
        ),
        ({"own_prefix_beam": 0}, "own_prefix_beam is 0; allowed: 1 to 10,000"),
    ],
)
def test_settings_that_cannot_be_are_named(settings, message) -> None:
    with pytest.raises(ValueError, match=message):
        replace(DistillationConfig(), **settings)
