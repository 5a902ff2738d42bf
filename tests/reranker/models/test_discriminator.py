import math
from dataclasses import replace

import pytest
import torch
from reencoding import beam_search_by_reencoding

from degre_pipeline.reranker.models.builders import build_evaluator
from degre_pipeline.reranker.models.discriminator import CautiousEvaluator
from degre_pipeline.reranker.models.ensemble import EvaluatorEnsemble
from degre_pipeline.reranker.models.model_config import EvaluatorConfig
from degre_pipeline.reranker.models.stored_models import (
    restore_evaluator,
    restore_miner,
    store,
    with_discriminator,
)
from degre_pipeline.reranker.requests import gather_candidates
from degre_pipeline.reranker.search.beam import beam_search
from degre_pipeline.reranker.search.exact import all_list_values
from degre_pipeline.reranker.search.valuation import list_prefix_values, list_values

CONFIG = EvaluatorConfig(head="company", company_channels=4)
EVALUATORS = {
    "Transformer": {"head": "slot_clicks"},
    "company": {"head": "company"},
    "company of a page": {"head": "page_company"},
    "cumulative": {"head": "cumulative"},
}


@pytest.fixture(params=[*EVALUATORS, "an ensemble"])
def cautious(make_evaluator, request) -> CautiousEvaluator:
    if request.param == "an ensemble":
        evaluator = EvaluatorEnsemble([make_evaluator(seed=seed, head="company") for seed in range(2)])
    else:
        evaluator = make_evaluator(**EVALUATORS[request.param])
    return CautiousEvaluator(evaluator, make_evaluator(seed=5, head="discriminator"), 0.3).eval()


def lists_of(requests, count: int = 5) -> torch.Tensor:
    b, n = requests.mask.shape
    return torch.rand(b, count, n).argsort(-1)[..., : requests.list_length]


def test_closeness_is_minus_the_log_of_the_chance_that_each_slot_is_mined(
    make_evaluator, make_requests
) -> None:
    requests, discriminator = make_requests(3), make_evaluator(head="discriminator")
    items = gather_candidates(requests.candidates, requests.exposed)
    mined = 1 - discriminator(requests.static, items)[..., 0].sigmoid()
    found = list_prefix_values(discriminator, requests, requests.exposed[:, None])[:, 0]

    assert torch.allclose(found, -mined.log().cumsum(-1))


def test_closeness_of_a_slot_that_is_as_often_logged_as_mined_is_the_log_of_two(make_evaluator) -> None:
    worth = make_evaluator(head="discriminator").worth(torch.tensor([0.0, math.log(3)]))
    assert torch.allclose(worth, torch.tensor([math.log(2), math.log(4)]))


def test_a_list_is_worth_its_clicks_and_a_share_of_its_closeness(cautious, make_requests) -> None:
    requests = make_requests(4)
    lists = lists_of(requests)
    clicks = list_values(cautious.evaluator, requests, lists)
    closeness = list_values(cautious.discriminator, requests, lists)

    assert torch.allclose(list_values(cautious, requests, lists), clicks + 0.3 * closeness)


def test_a_search_with_stored_prefixes_equals_one_that_encodes_them_anew(cautious, make_requests) -> None:
    requests = make_requests(4)
    found = beam_search(cautious, requests, beam_size=3)
    sequences, values = beam_search_by_reencoding(cautious, requests, beam_size=3)

    assert torch.equal(found.sequences, sequences)
    assert torch.allclose(found.values, values)


def test_the_exact_search_values_lists_as_encoding_them_does(cautious, make_requests) -> None:
    request = make_requests(1, n=5, slots=4)
    lists = lists_of(request)

    assert torch.allclose(
        all_list_values(cautious, request).value_of(lists[0]), list_values(cautious, request, lists)[0]
    )


class TestStored:
    @pytest.fixture
    def trained(self, sizes):
        torch.manual_seed(0)
        both = [
            build_evaluator(sizes, 4, replace(CONFIG, head=head)) for head in ("company", "discriminator")
        ]
        evaluator, discriminator = (
            store(model, sizes, 4, replace(CONFIG, head=head))
            for model, head in zip(both, ("company", "discriminator"), strict=True)
        )
        return evaluator, with_discriminator(evaluator, discriminator, 0.5), CautiousEvaluator(*both, 0.5)

    def test_a_miner_comes_back_with_its_discriminator_and_a_judge_without(
        self, trained, make_requests
    ) -> None:
        alone, stored, cautious = trained
        requests = make_requests(3)
        lists = lists_of(requests)
        clicks = list_values(restore_evaluator(alone), requests, lists)

        assert torch.equal(
            list_values(restore_miner(stored), requests, lists),
            list_values(cautious.eval(), requests, lists),
        )
        assert torch.equal(list_values(restore_evaluator(stored), requests, lists), clicks)
        assert torch.equal(list_values(restore_miner(alone), requests, lists), clicks)

    def test_another_pessimism_is_another_miner(self, trained) -> None:
        alone, stored, _ = trained
        discriminator = store(trained[2].discriminator, [], 4, replace(CONFIG, head="discriminator"))
        other = with_discriminator(alone, discriminator, 0.25)

        differing = [
            name for name in stored.weights if not torch.equal(stored.weights[name], other.weights[name])
        ]
        assert differing == ["discriminator.pessimism"]


def test_a_discriminator_of_lists_of_another_length_is_refused(make_evaluator) -> None:
    with pytest.raises(ValueError, match="list_length is 3; allowed: 4"):
        CautiousEvaluator(make_evaluator(), make_evaluator(3, head="discriminator"), 0.5)
