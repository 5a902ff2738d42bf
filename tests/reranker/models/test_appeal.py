import pytest
import torch

from degre_pipeline.reranker.models.appeal import SPEED, AssumedExamination, RisingScore, examined
from degre_pipeline.reranker.search.beam import beam_search


def test_a_click_needs_a_slot_that_is_looked_at_and_an_item_that_appeals() -> None:
    chances = AssumedExamination(3, decay=1.0)()
    clicked = examined(torch.zeros(1, 3, 1), chances).sigmoid().flatten().tolist()

    assert clicked == pytest.approx([1 / 2, 1 / 2 / 2, 1 / 3 / 2])


@pytest.mark.parametrize("appeal", [-60.0, 60.0])
def test_an_extreme_appeal_has_a_finite_logit_and_gradient(appeal: float) -> None:
    logit = torch.full((1, 2, 1), appeal, requires_grad=True)
    out = examined(logit, AssumedExamination(2, decay=0.05)())
    out.sum().backward()

    assert out.isfinite().all()
    assert logit.grad is not None
    assert logit.grad.isfinite().all()
    assert out[0, 0, 0].item() == pytest.approx(appeal)  # the first slot is always looked at


def test_a_higher_score_never_takes_appeal_away() -> None:
    torch.manual_seed(0)
    rising = RisingScore(6)
    assert rising(torch.arange(6)).flatten().tolist() == pytest.approx([0, 0.4, 0.8, 1.2, 1.6, 2.0])
    with torch.no_grad():
        rising.steps.copy_(torch.randn(5) * 0.3)
    assert bool((rising(torch.arange(6)).flatten().diff() > 0).all())


def test_the_best_list_puts_items_in_the_order_of_their_appeal_whatever_stands_beside_them(
    make_evaluator, make_requests
) -> None:
    evaluator, requests = make_evaluator(head="appeal"), make_requests(5)
    appeal = evaluator._appeal(evaluator.project(requests.static, requests.candidates))[..., 0]
    found = beam_search(evaluator, requests, beam_size=1).sequences[:, 0]

    assert torch.equal(found, appeal.argsort(dim=1, descending=True)[:, :4])


def test_the_score_moves_an_item_by_its_own_share_alone(make_evaluator, make_requests) -> None:
    evaluator, requests = make_evaluator(head="appeal"), make_requests(4)
    higher = requests.candidates.clone()
    higher[..., -1] += 1  # the ranking score is the last column
    low, high = (
        evaluator._appeal(evaluator.project(requests.static, some)) for some in (requests.candidates, higher)
    )
    steps = torch.nn.functional.softplus(SPEED * evaluator.rising.steps)[requests.candidates[..., -1].long()]

    assert torch.allclose((high - low)[..., 0], steps)


def test_without_a_ranking_score_items_are_judged_by_their_other_fields(sizes) -> None:
    from degre_pipeline.reranker.models.builders import build_evaluator
    from degre_pipeline.reranker.models.model_config import EvaluatorConfig

    evaluator = build_evaluator(sizes[:-1], 3, EvaluatorConfig(head="appeal", layers=1, width=8, heads=2))
    static, items = torch.ones(2, 2, dtype=torch.int32), torch.ones(2, 3, 3, dtype=torch.int32)

    assert evaluator(static, items).shape == (2, 3, 1)
