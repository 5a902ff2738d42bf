import itertools

import numpy as np
import pytest
import torch
from reencoding import beam_search_by_reencoding

from degre_pipeline.reranker.losses import slot_click_loss
from degre_pipeline.reranker.models.ensemble import EvaluatorEnsemble, MembersInOnePass
from degre_pipeline.reranker.models.slot_clicks import clicks_reach
from degre_pipeline.reranker.requests import gather_candidates
from degre_pipeline.reranker.search.beam import beam_search, extension_values
from degre_pipeline.reranker.search.exact import all_list_values
from degre_pipeline.reranker.search.valuation import list_prefix_values
from degre_pipeline.reranker.training.objectives import EvaluatorLoss
from degre_pipeline.simulation.click_counts import cumulative_click_probabilities
from degre_pipeline.simulation.click_world import Behaviour


@pytest.fixture(params=["slot_clicks", "appeal"])
def head(request):
    return request.param


@pytest.fixture
def evaluator(make_evaluator, head):
    return make_evaluator(head=head)


def all_lists(candidates: int, slots: int) -> torch.Tensor:
    return torch.tensor(list(itertools.permutations(range(candidates), slots)))[None]


def test_a_prefix_is_worth_the_sum_of_its_slots_clicks(evaluator, make_requests) -> None:
    requests = make_requests(5)
    items = gather_candidates(requests.candidates, requests.exposed)
    clicks = evaluator(requests.static, items)[..., 0].sigmoid()

    values = evaluator.values_of(evaluator.project(requests.static, items))
    assert torch.allclose(values, clicks.cumsum(-1))
    shorter = evaluator.values_of(evaluator.project(requests.static, items[:, :2]))
    assert torch.allclose(shorter, values[:, :2])


@pytest.mark.parametrize("members", [1, 2])
def test_a_search_with_stored_prefixes_equals_one_that_encodes_them_anew(
    make_evaluator, make_requests, head, members
) -> None:
    parts = [make_evaluator(head=head, seed=seed) for seed in range(members)]
    one = parts[0] if members == 1 else EvaluatorEnsemble(parts, pessimism=0.5)
    requests = make_requests(4)
    found = beam_search(one, requests, beam_size=3)
    sequences, values = beam_search_by_reencoding(one, requests, beam_size=3)

    assert torch.equal(found.sequences, sequences)
    assert torch.allclose(found.values, values)


def test_the_exact_search_and_the_stored_steps_value_lists_as_encoding_them_does(
    evaluator, make_requests
) -> None:
    request = make_requests(1, n=5, slots=4)
    lists = all_lists(5, 4)
    expected = list_prefix_values(evaluator, request, lists[:, :3])  # few enough to be encoded whole
    every = all_list_values(evaluator, request)

    assert torch.allclose(every.value_of(lists[0, :3]), expected[0, :, -1])
    assert torch.allclose(list_prefix_values(evaluator, request, lists)[0, :, -1], every.value_of(lists[0]))
    steps = extension_values(evaluator, request, lists[:, :3])
    assert torch.allclose(steps.gather(-1, lists[:, :3, :, None])[..., 0], expected)


def true_levels(clicked: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(cumulative_click_probabilities(Behaviour(clicked, np.ones_like(clicked))))


def test_levels_are_those_of_independent_clicks(evaluator, make_requests) -> None:
    requests = make_requests(3)
    items = gather_candidates(requests.candidates, requests.exposed)
    levels = evaluator.levels(requests.static, items)
    clicks = evaluator(requests.static, items)[..., 0].sigmoid().detach()

    assert torch.allclose(levels, true_levels(clicks.numpy()))
    assert torch.allclose(levels.sum(-1), clicks.cumsum(-1))
    assert clicks_reach(torch.tensor([0.5, 0.2]), 2).flatten().tolist() == pytest.approx([0.5, 0, 0.6, 0.1])


def test_loss_by_hand_leaves_empty_slots_out() -> None:
    logits = torch.tensor([[0.0, 2.0], [0.0, 5.0]])
    clicks, mask = torch.tensor([[1.0, 0.0], [1.0, 1.0]]), torch.tensor([[True, True], [True, False]])
    half, surprise = torch.tensor(2.0).log(), torch.tensor(2.0).exp().log1p()

    assert float(slot_click_loss(logits, clicks, mask)) == pytest.approx(
        float(((half + surprise) / 2 + half) / 2)
    )
    empty = torch.zeros(2, 2, dtype=torch.bool)
    assert float(slot_click_loss(logits, clicks, empty)) == 0.0


def test_members_in_one_pass_lose_the_mean_of_what_each_loses(make_evaluator, make_requests, head) -> None:
    requests = make_requests(6)
    members = [make_evaluator(head=head, seed=seed, dropout=0.0) for seed in range(2)]
    alone = torch.stack([EvaluatorLoss(member)(member, requests) for member in members])

    assert torch.allclose(EvaluatorLoss(members[0])(MembersInOnePass(members), requests), alone.mean())
