import numpy as np
import pytest
import torch

from degre_pipeline.reranker.losses import slot_click_loss
from degre_pipeline.reranker.models.ensemble import MembersInOnePass
from degre_pipeline.reranker.models.slot_clicks import clicks_reach
from degre_pipeline.reranker.requests import gather_candidates
from degre_pipeline.reranker.training.objectives import EvaluatorLoss
from degre_pipeline.simulation.click_counts import cumulative_click_probabilities
from degre_pipeline.simulation.click_world import Behaviour


@pytest.fixture(params=["slot_clicks", "appeal", "company"])
def head(request):
    return request.param


@pytest.fixture
def evaluator(make_evaluator, head):
    return make_evaluator(head=head)


def test_a_prefix_is_worth_the_sum_of_its_slots_clicks(evaluator, make_requests) -> None:
    requests = make_requests(5)
    items = gather_candidates(requests.candidates, requests.exposed)
    clicks = evaluator(requests.static, items)[..., 0].sigmoid()

    values = evaluator.values_of(evaluator.project(requests.static, items))
    assert torch.allclose(values, clicks.cumsum(-1))
    shorter = evaluator.values_of(evaluator.project(requests.static, items[:, :2]))
    assert torch.allclose(shorter, values[:, :2])


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
