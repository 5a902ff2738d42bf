import pytest
import torch
from torch import Tensor

from degre_pipeline.reranker.models.evaluator import LookaheadEvaluator, prefix_values, slot_value
from degre_pipeline.reranker.requests import Requests, gather_candidates

VARIANTS = [
    {},
    {"field_attention": "cross_only", "norm_statistics": "group"},
    {"field_attention": "mtgr"},
    {"field_attention": "none", "head": "monotone"},
]


def stepped(evaluator: LookaheadEvaluator, requests: Requests, sequences: Tensor) -> Tensor:
    """The logits of lists [b, t], one slot after the other with stored keys and values."""
    vectors = gather_candidates(evaluator.project(requests.static, requests.candidates), sequences)
    cache, rows = evaluator.empty_cache(len(requests), vectors), []
    for slot in range(sequences.shape[1]):
        logits, own = evaluator.step(vectors[:, slot : slot + 1], cache, slot)
        pairs = zip(cache, own, strict=True)
        cache = [(torch.cat([k, key], 1), torch.cat([v, value], 1)) for (k, v), (key, value) in pairs]
        rows.append(logits)
    return torch.cat(rows, 1)


@pytest.mark.parametrize("settings", VARIANTS)
def test_later_items_leave_earlier_logits_bit_identical(make_requests, make_evaluator, settings) -> None:
    requests, evaluator = make_requests(), make_evaluator(**settings).float()
    items = gather_candidates(requests.candidates, requests.exposed)
    before = evaluator(requests.static, items)

    for slot in range(1, 4):
        changed = items.clone()
        changed[:, slot:] = 0
        after = evaluator(requests.static, changed)
        assert torch.equal(before[:, :slot], after[:, :slot])
        assert not torch.allclose(before[:, slot], after[:, slot])


@pytest.mark.parametrize("settings", VARIANTS)
def test_cached_prefixes_give_the_values_of_full_passes(make_requests, make_evaluator, settings) -> None:
    requests, evaluator = make_requests(), make_evaluator(**settings).float()
    full = evaluator(requests.static, gather_candidates(requests.candidates, requests.exposed))

    assert torch.allclose(stepped(evaluator, requests, requests.exposed), full, atol=1e-5)


def test_values_depend_on_user_context_item_and_order(make_requests, make_evaluator) -> None:
    requests, evaluator = make_requests(1), make_evaluator()
    items = gather_candidates(requests.candidates, requests.exposed)
    value = prefix_values(evaluator(requests.static, items))[0, -1]
    others = [
        evaluator((requests.static + torch.tensor([1, 0])) % 4, items),
        evaluator((requests.static + torch.tensor([0, 1])) % 4, items),
        evaluator(requests.static, items.flip(1)),
    ]

    assert all((prefix_values(logits)[0, -1] - value).abs() > 1e-4 for logits in others)


def test_a_value_sums_the_levels_that_its_items_can_reach() -> None:
    logits = torch.zeros(1, 3, 3)
    logits[0, 2, 1] = torch.tensor(0.9).logit()

    assert prefix_values(torch.zeros(1, 3, 3))[0].tolist() == [0.5, 1.0, 1.5]
    assert prefix_values(logits)[0].tolist() == pytest.approx([0.5, 1.0, 1.9])
    assert prefix_values(logits[:, 1:], first_slot=1)[0].tolist() == pytest.approx([1.0, 1.9])
    assert [float(slot_value(logits[:, slot], slot)) for slot in range(3)] == pytest.approx([0.5, 1.0, 1.9])


def test_the_monotone_head_orders_the_levels(make_requests, make_evaluator) -> None:
    requests = make_requests()
    items = gather_candidates(requests.candidates, requests.exposed)
    plain, monotone = (
        make_evaluator(head=head)(requests.static, items) for head in ("cumulative", "monotone")
    )

    assert (plain.diff(dim=-1) > 0).any()
    assert (monotone.diff(dim=-1) < 0).all()
