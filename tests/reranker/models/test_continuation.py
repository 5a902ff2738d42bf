"""A model goes on from an earlier one: what that one knew it still knows, what is new is its own."""

import json
from dataclasses import replace

import pytest
import torch

from degre_pipeline.reranker.models.builders import build_evaluator
from degre_pipeline.reranker.models.continuation import continue_from, usable
from degre_pipeline.reranker.models.generator import build_generator
from degre_pipeline.reranker.models.model_config import EvaluatorConfig, GeneratorConfig
from degre_pipeline.reranker.models.stored_models import FROM_NOTHING, restore_evaluator, store
from degre_pipeline.reranker.schema import FieldSize
from degre_pipeline.reranker.search.valuation import list_values

CONFIG = EvaluatorConfig(embedding_dim=4, width=8, layers=2, heads=2, feedforward=16, position_dim=4)
LENGTH = 4


def grown(sizes: tuple[FieldSize, ...]) -> tuple[FieldSize, ...]:
    return tuple(replace(size, indices=size.indices + 3 + place) for place, size in enumerate(sizes))


@pytest.mark.parametrize("additive", [(), ("segment", "category")])
def test_offsets_of_known_values_are_those_of_the_earlier_model(sizes, make_requests, additive) -> None:
    config = replace(CONFIG, head="slot_clicks")
    sizes = tuple(replace(size, additive=size.name in additive) for size in sizes)
    earlier = build_evaluator(sizes, LENGTH, config).eval()
    later = build_evaluator(grown(sizes), LENGTH, config).eval()
    for model in (earlier, later):
        for name, weight in model.named_parameters():
            if name.startswith("offsets."):
                torch.nn.init.normal_(weight)
    stored = store(earlier, sizes, LENGTH, config)
    stored = replace(stored, config=json.loads(json.dumps(stored.config)))
    assert usable(stored, grown(sizes), LENGTH, config, name="the evaluator")

    continue_from(later, stored.weights, sizes, grown(sizes))

    requests = make_requests(5)
    lists = requests.shown[:, None]
    assert torch.allclose(
        list_values(later, requests, lists), list_values(earlier, requests, lists), atol=1e-6
    )


@pytest.mark.parametrize("head", ["cumulative", "slot_clicks"])
def test_values_of_known_features_are_those_of_the_earlier_model(sizes, make_requests, head) -> None:
    config = replace(CONFIG, head=head)
    earlier = build_evaluator(sizes, LENGTH, config).eval()
    stored = store(earlier, sizes, LENGTH, config)
    later = build_evaluator(grown(sizes), LENGTH, config).eval()
    own = later.state_dict()["features.candidate.table.weight"].clone()

    continue_from(later, stored.weights, sizes, grown(sizes))

    requests = make_requests(5)
    lists = requests.shown[:, None]
    assert torch.allclose(
        list_values(later, requests, lists), list_values(earlier, requests, lists), atol=1e-6
    )
    table = later.state_dict()["features.candidate.table.weight"]
    first = next(size for size in sizes if size.per_candidate)
    new = slice(first.indices, first.indices + 3)
    assert torch.equal(table[new], own[new]), "new values keep what they were given"


def test_a_generator_goes_on_too(sizes, make_requests) -> None:
    config = GeneratorConfig(embedding_dim=4, width=8, layers=1, heads=2, feedforward=16)
    earlier, later = (build_generator(some, LENGTH, config).eval() for some in (sizes, grown(sizes)))

    continue_from(later, store(earlier, sizes, LENGTH, config).weights, sizes, grown(sizes))

    requests = make_requests(6)
    one, other = (
        model.greedy_decode(requests.static, requests.candidates, requests.mask)[0]
        for model in (earlier, later)
    )
    assert torch.equal(one, other)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"config": replace(CONFIG, layers=3)}, "layers is 3, was 2"),
        ({"config": replace(CONFIG, head="monotone")}, "head is 'monotone', was 'slot_clicks'"),
        ({"list_length": 6}, "list_length is 6, was 4"),
        ({"sizes": slice(1, None)}, "fields are"),
        ({"shrink": True}, "vocabularies of ['segment'] lost values"),
    ],
)
def test_a_model_of_other_settings_starts_anew_and_says_why(sizes, caplog, changed, reason) -> None:
    config = replace(CONFIG, head="slot_clicks")
    earlier = store(build_evaluator(sizes, LENGTH, config), sizes, LENGTH, config)
    now = sizes[changed.get("sizes", slice(None))]
    if changed.get("shrink"):
        now = (replace(sizes[0], indices=sizes[0].indices - 1), *sizes[1:])

    can = usable(
        earlier, now, changed.get("list_length", LENGTH), changed.get("config", config), name="the evaluator"
    )

    assert not can
    assert "the evaluator starts anew" in caplog.text
    assert reason in caplog.text


def test_other_dropout_is_no_obstacle_and_nothing_is_no_start(sizes, caplog) -> None:
    earlier = store(build_evaluator(sizes, LENGTH, CONFIG), sizes, LENGTH, CONFIG)

    assert usable(earlier, sizes, LENGTH, replace(CONFIG, dropout=0.5, id_dropout=0.1), name="it")
    assert not usable(FROM_NOTHING, sizes, LENGTH, CONFIG, name="it")
    assert caplog.text == ""
    assert restore_evaluator(earlier)
