from dataclasses import replace

import pytest
import torch

from degre_pipeline.reranker.support import (
    in_ranking_order,
    order_entropy,
    placements,
    score_ranks,
    shown_ranks,
    slot_coverage,
    slot_entropy,
    varies,
)


def shown(requests, exposed):
    """The requests as if other lists had been shown, [b, t] candidate indices."""
    return replace(requests, exposed=torch.as_tensor(exposed))


@pytest.fixture
def by_score(make_requests):
    """Five hundred requests with shuffled candidates, each shown its four of the highest score in order."""
    requests = make_requests(500)
    return shown(requests, requests.scores.argsort(dim=1, descending=True)[:, :4])


@pytest.fixture
def at_random(make_requests):
    return make_requests(2000)


def test_places_by_score_leave_candidates_that_are_not_there_last(make_requests) -> None:
    requests = make_requests(1, n=4, slots=2, real=[3])
    scored = replace(requests, scores=torch.tensor([[0.1, -2.0, 0.7, 9.0]]))

    assert score_ranks(scored).tolist() == [[1, 2, 0, 3]]
    assert shown_ranks(shown(scored, [[2, 1]])).tolist() == [[0, 2]]


def test_entropy_by_hand() -> None:
    # Half of the lists are in order and half upside down: a slot may hold either place.
    order = torch.tensor([[0, 1], [5, 2]])
    assert order_entropy(order, torch.ones(2, 2, dtype=torch.bool)) == pytest.approx(1.0)
    assert order_entropy(order[:1], torch.ones(1, 2, dtype=torch.bool)) == 0.0
    # Three in order and one upside down: H(1/4) in bits, of one bit at most.
    order = torch.tensor([[0, 1], [0, 1], [0, 1], [1, 0]])
    expected = -(0.25 * torch.tensor(0.25).log2() + 0.75 * torch.tensor(0.75).log2())
    assert order_entropy(order, torch.ones(4, 2, dtype=torch.bool)) == pytest.approx(expected.item())


def test_one_item_a_list_says_nothing_of_slots() -> None:
    mask = torch.tensor([[True, False]])
    assert order_entropy(torch.tensor([[0, 0]]), mask) == 1.0


def test_a_log_in_the_order_of_its_score_supports_no_other(by_score) -> None:
    assert bool(in_ranking_order(by_score).all())
    assert slot_entropy(by_score) == 0.0
    assert slot_coverage(by_score) == pytest.approx(4 / (8 * 4))
    assert not varies(by_score)


def test_a_log_in_the_order_handed_over_supports_no_other_though_its_score_is_another(by_score) -> None:
    handed = shown(by_score, torch.arange(4).expand(500, 4))
    assert not bool(in_ranking_order(handed).any())
    assert slot_entropy(handed) == 0.0
    assert not varies(handed)


def test_random_lists_support_every_order(at_random) -> None:
    assert slot_entropy(at_random) > 0.99
    assert slot_coverage(at_random) == 1.0
    assert placements(at_random, shown_ranks(at_random)).sum(0).tolist() == pytest.approx([1.0] * 4)


def test_placements_count_only_requests_that_have_such_a_rank(make_requests) -> None:
    requests = make_requests(2, n=3, slots=1, real=[3, 2])
    scored = replace(requests, scores=torch.tensor([[3.0, 2.0, 1.0], [3.0, 2.0, 0.0]]))
    seen = placements(shown(scored, [[2], [0]]), shown_ranks(shown(scored, [[2], [0]])))

    assert seen.tolist() == [[0.5], [0.0], [1.0]]


def test_swaps_of_neighbours_cover_less_than_a_tenth_of_random_lists(by_score, at_random) -> None:
    neighbours = by_score.exposed[:, [1, 0, 3, 2]]
    swapped = torch.where(torch.arange(500)[:, None] % 2 == 0, neighbours, by_score.exposed)
    assert slot_entropy(shown(by_score, swapped)) == pytest.approx(0.5)
    assert not varies(shown(by_score, swapped))
