import json
from dataclasses import replace
from typing import Any

import pytest
import torch

from degre_pipeline.reranker.models.builders import build_evaluator
from degre_pipeline.reranker.models.generator import build_generator
from degre_pipeline.reranker.models.model_config import EvaluatorConfig, GeneratorConfig
from degre_pipeline.reranker.models.stored_models import (
    TrainedWeights,
    restore_evaluator,
    restore_generator,
    start_from_evaluator,
    store,
)
from degre_pipeline.reranker.schema import FieldSize

SHAPE: dict[str, Any] = {
    "embedding_dim": 4,
    "width": 8,
    "layers": 1,
    "heads": 2,
    "feedforward": 16,
    "position_dim": 4,
}
EVALUATOR = EvaluatorConfig(**SHAPE, head="monotone", field_attention="mtgr")
GENERATOR = GeneratorConfig(**SHAPE, cross_attention=True, item_input="feature", pointer_scaling=False)


def through_json(trained: TrainedWeights) -> TrainedWeights:
    return replace(trained, config=json.loads(json.dumps(trained.config)))


def stored_evaluator(sizes: tuple[FieldSize, ...], **changes: Any) -> TrainedWeights:
    config = replace(EVALUATOR, **changes)
    return store(build_evaluator(sizes, 4, config), sizes, 4, config)


def test_an_evaluator_is_restored_from_its_weights_and_settings(sizes, make_requests) -> None:
    evaluator, requests = build_evaluator(sizes, 4, EVALUATOR).eval(), make_requests()
    restored = restore_evaluator(through_json(store(evaluator, sizes, 4, EVALUATOR)))
    items = requests.candidates[:, :4]

    assert not restored.training
    assert restored.list_length == 4
    assert torch.equal(restored(requests.static, items), evaluator(requests.static, items))


def test_a_generator_is_restored_from_its_weights_and_settings(sizes, make_requests) -> None:
    generator, requests = build_generator(sizes, 4, GENERATOR).eval(), make_requests()
    restored = restore_generator(through_json(store(generator, sizes, 4, GENERATOR)))
    arguments = (requests.static, requests.candidates, requests.mask)

    assert not restored.training
    for one, other in zip(
        restored.greedy_decode(*arguments), generator.greedy_decode(*arguments), strict=True
    ):
        assert torch.equal(one, other)


def test_weights_of_the_other_kind_are_refused(sizes) -> None:
    generator = store(build_generator(sizes, 4, GENERATOR), sizes, 4, GENERATOR)

    with pytest.raises(ValueError, match="weights are of model 'generator'; wanted: 'evaluator'"):
        restore_evaluator(generator)
    with pytest.raises(ValueError, match="weights are of model 'evaluator'; wanted: 'generator'"):
        restore_generator(stored_evaluator(sizes))


def test_a_warm_start_copies_the_embeddings_and_nothing_else(sizes) -> None:
    evaluator, generator = stored_evaluator(sizes), build_generator(sizes, 4, GENERATOR)
    before = {name: tensor.clone() for name, tensor in generator.state_dict().items()}
    start_from_evaluator(generator, evaluator)
    after = generator.state_dict()
    copied = {name for name in after if not torch.equal(before[name], after[name])}

    assert copied == {"features.static.table.weight", "features.candidate.table.weight"}
    assert all(torch.equal(after[name], evaluator.weights[name]) for name in copied)


def test_a_warm_start_keeps_the_generators_own_of_fields_that_the_evaluator_adds(sizes) -> None:
    config = replace(EVALUATOR, head="slot_clicks")
    sizes = tuple(replace(size, additive=size.name in ("segment", "category")) for size in sizes)
    evaluator = store(build_evaluator(sizes, 4, config), sizes, 4, config)
    generator = build_generator(sizes, 4, GENERATOR)
    before = generator.state_dict()["features.candidate.table.weight"].clone()
    start_from_evaluator(generator, evaluator)
    after = generator.state_dict()["features.candidate.table.weight"]

    assert torch.equal(after[:6], before[:6])
    assert torch.equal(after[6:], evaluator.weights["features.candidate.table.weight"])


@pytest.mark.parametrize("change", ["width", "fields", "no static fields"])
def test_a_warm_start_from_other_fields_or_widths_is_refused(sizes, change: str) -> None:
    evaluator = {
        "width": lambda: stored_evaluator(sizes, embedding_dim=6),
        "fields": lambda: stored_evaluator(sizes[:-1]),
        "no static fields": lambda: stored_evaluator(sizes[2:]),
    }[change]()

    with pytest.raises(ValueError, match=r"warm_start: .*table.weight.* in shape"):
        start_from_evaluator(build_generator(sizes, 4, GENERATOR), evaluator)


@pytest.mark.parametrize("head", ["by_support", "by_data"])
def test_a_head_that_was_left_open_cannot_be_built(sizes, head) -> None:
    with pytest.raises(ValueError, match=f"head is '{head}'; allowed: what"):
        build_evaluator(sizes, 4, EvaluatorConfig(head=head))
