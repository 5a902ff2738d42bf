"""What the sums of company say, by hand."""

import torch

from degre_pipeline.reranker.requests import gather_candidates


def vectors_and_logits(evaluator, requests):
    items = gather_candidates(requests.candidates, requests.exposed)
    return evaluator.project(requests.static, items), evaluator(requests.static, items)


def test_an_item_looks_at_the_sum_of_what_stands_above_it(make_evaluator, make_requests) -> None:
    evaluator = make_evaluator(head="company", company_channels=2)
    vectors, logits = vectors_and_logits(evaluator, make_requests(3))
    slots = evaluator.slots()[:, 0]

    own, look, give = vectors[..., 0], vectors[..., 1:3], vectors[..., 3:5]
    assert vectors.shape[-1] == 5
    assert torch.allclose(logits[:, 0, 0], own[:, 0] + slots[0])
    above = (give[:, 0] + give[:, 1]).tanh()
    assert torch.allclose(logits[:, 2, 0], own[:, 2] + slots[2] + (look[:, 2] * above).sum(-1))


def test_what_stands_below_is_looked_at_in_another_way(make_evaluator, make_requests) -> None:
    evaluator = make_evaluator(head="page_company", company_channels=2)
    vectors, logits = vectors_and_logits(evaluator, make_requests(3))
    slots = evaluator.slots()[:, 0]

    own, up, down, give = vectors[..., 0], vectors[..., 1:3], vectors[..., 3:5], vectors[..., 5:7]
    alone = own[:, 1] + slots[1] + (up[:, 1] * give[:, 0].tanh()).sum(-1)
    assert torch.allclose(logits[:, 1, 1], alone), "nothing stands below it yet"
    below = (give[:, 2] + give[:, 3]).tanh()
    assert torch.allclose(logits[:, 3, 1], alone + (down[:, 1] * below).sum(-1))


def test_a_second_item_of_a_kind_adds_less_than_the_first(make_evaluator, make_requests) -> None:
    evaluator, requests = make_evaluator(head="company"), make_requests(1)
    with torch.no_grad():
        evaluator.company[2].bias.zero_()
        evaluator.company[2].bias[-evaluator.channels :] = 20.0  # each fills every channel at once
        evaluator.company[2].weight[-evaluator.channels :] = 0.0
        evaluator.slots.project.weight.zero_()
    vectors = evaluator.project(requests.static, requests.candidates[:, :1]).expand(-1, 3, -1)
    logits = evaluator.logits_of(vectors)[0, :, 0]

    assert not torch.allclose(logits[0], logits[1])
    assert torch.allclose(logits[1], logits[2])
