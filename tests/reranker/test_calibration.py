import pytest
import torch

from degre_pipeline.reranker.calibration import calibrate
from degre_pipeline.reranker.models.evaluator import LookaheadEvaluator
from degre_pipeline.reranker.requests import Requests, gather_candidates


@torch.no_grad()
def loss(evaluator: LookaheadEvaluator, requests: Requests) -> float:
    logits = evaluator(requests.static, gather_candidates(requests.candidates, requests.exposed))
    return float(evaluator.list_loss(logits, requests.clicks, requests.exposed_mask))


@pytest.mark.parametrize(
    "head",
    ["cumulative", "monotone", "slot_clicks", "hindsight", "survival", "company", "page_company"],
)
def test_no_other_stretch_or_shift_has_a_lower_loss(make_requests, make_evaluator, head) -> None:
    requests, evaluator = make_requests(60), make_evaluator(head=head)
    before = loss(evaluator, requests)
    calibrate(evaluator, requests)
    best = loss(evaluator, requests)

    assert best < before - 1e-3
    for change in (-0.05, 0.05):
        for buffer in (evaluator.scale, evaluator.shift):
            kept = buffer.clone()
            buffer.add_(change)
            assert loss(evaluator, requests) > best
            buffer.copy_(kept)


def test_an_evaluator_that_was_stretched_and_shifted_is_mended(make_requests, make_evaluator) -> None:
    requests, evaluator = make_requests(60), make_evaluator()
    calibrate(evaluator, requests)
    wanted = loss(evaluator, requests)
    evaluator.head[-1].weight.data *= 3
    evaluator.head[-1].bias.data = 3 * evaluator.head[-1].bias.data - 1
    calibrate(evaluator, requests)

    assert loss(evaluator, requests) == pytest.approx(wanted, abs=1e-6)


def test_a_monotone_head_stays_monotone(make_requests, make_evaluator) -> None:
    requests, evaluator = make_requests(60), make_evaluator(head="monotone")
    calibrate(evaluator, requests)
    levels = evaluator.levels(requests.static, gather_candidates(requests.candidates, requests.exposed))

    assert bool((levels.diff(dim=-1) < 0).all())
    assert evaluator.shift.shape == (1,)
