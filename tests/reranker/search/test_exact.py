from dataclasses import replace
from itertools import permutations

import pytest
import torch

from degre_pipeline.reranker.models.evaluator import prefix_values
from degre_pipeline.reranker.requests import gather_candidates
from degre_pipeline.reranker.search.beam import beam_search
from degre_pipeline.reranker.search.exact import all_list_values, tree_size


def by_whole_passes(evaluator, request, lists: list[tuple[int, ...]]) -> torch.Tensor:
    items = gather_candidates(request.candidates, torch.tensor(lists)[None])[0]
    return prefix_values(evaluator(request.static.expand(len(lists), -1), items))[:, -1].detach()


def test_the_tree_of_twelve_candidates_and_six_slots() -> None:
    assert tree_size(12, 6) == 12 + 132 + 1_320 + 11_880 + 95_040 + 665_280 == 773_664
    assert tree_size(3, 6) == 3 + 6 + 6


@pytest.mark.parametrize("rows", [1, 7, 8192])
def test_every_list_has_the_value_of_a_whole_pass(make_requests, make_evaluator, rows: int) -> None:
    request, evaluator = make_requests(1, n=6, slots=4, seed=3), make_evaluator(4)
    lists = list(permutations(range(6), 4))
    found = all_list_values(evaluator, request, rows=rows)

    assert torch.allclose(found.values, by_whole_passes(evaluator, request, lists), atol=1e-6)
    assert torch.equal(found.value_of(torch.tensor(lists)), found.values)


def test_the_best_list_and_the_ranks_are_those_of_sorting_all_lists(make_requests, make_evaluator) -> None:
    request, evaluator = make_requests(1, n=6, slots=3, seed=5), make_evaluator(3)
    found = all_list_values(evaluator, request)
    lists = list(permutations(range(6), 3))
    order = found.values.argsort(descending=True).tolist()
    best, value = found.best()

    assert tuple(best.tolist()) == lists[order[0]]
    assert value == float(found.values.max())
    ranked = torch.tensor([lists[place] for place in order])
    assert found.rank_of(ranked).tolist() == list(range(120))


def test_lists_of_equal_value_have_equal_rank(make_requests, make_evaluator) -> None:
    found = all_list_values(make_evaluator(2), make_requests(1, n=3, slots=2))
    tied = replace(found, values=torch.tensor([1.0, 2.0, 2.0, 0.0, 1.0, 3.0]))
    lists = torch.tensor(list(permutations(range(3), 2)))

    assert tied.rank_of(lists).tolist() == [3, 1, 1, 5, 3, 0]


def test_it_is_the_ceiling_of_every_beam_and_the_result_of_the_widest(make_requests, make_evaluator) -> None:
    requests, evaluator = make_requests(4, n=7, slots=4), make_evaluator(4)
    exact = [all_list_values(evaluator, requests.select(slice(row, row + 1))) for row in range(4)]
    narrow, wide = (beam_search(evaluator, requests, beam_size=size) for size in (2, 7 * 6 * 5))

    for row, found in enumerate(exact):
        best, value = found.best()
        assert wide.sequences[row, 0].tolist() == best.tolist()
        assert float(wide.values[row, 0]) == pytest.approx(value, abs=1e-6)
        assert float(narrow.values[row, 0]) <= value + 1e-6
        assert found.rank_of(wide.sequences[row, :20]).tolist() == list(range(20))


def test_padding_is_left_out_and_few_candidates_give_short_lists(make_requests, make_evaluator) -> None:
    request, evaluator = make_requests(1, n=8, slots=4, real=[3]), make_evaluator(4)
    found = all_list_values(evaluator, request)
    lists = list(permutations(range(3)))

    assert torch.allclose(found.values, by_whole_passes(evaluator, request, lists), atol=1e-6)
    best = [*found.best()[0].tolist(), -1]
    assert found.rank_of(torch.tensor([best, best])).tolist() == [0, 0]


def test_candidates_need_not_come_first(make_requests, make_evaluator) -> None:
    request, evaluator = make_requests(1, n=5, slots=2), make_evaluator(2)
    request = replace(request, mask=torch.tensor([[False, True, True, False, True]]))
    found = all_list_values(evaluator, request)
    lists = list(permutations([1, 2, 4], 2))

    assert torch.allclose(found.values, by_whole_passes(evaluator, request, lists), atol=1e-6)
    assert tuple(found.best()[0].tolist()) == lists[int(found.values.argmax())]


def test_a_tree_over_the_budget_is_refused_with_its_size(make_requests, make_evaluator) -> None:
    with pytest.raises(ValueError, match=r"8 candidates and 4 slots takes 2,080 steps.*at most 2,000"):
        all_list_values(make_evaluator(4), make_requests(1, n=8), most_steps=2000)


@pytest.mark.parametrize("wrong", [[0, 1, 1], [0, 1, 5], [0, 1, -1]])
def test_what_is_no_list_of_the_request_is_refused(make_requests, make_evaluator, wrong) -> None:
    found = all_list_values(make_evaluator(3), make_requests(1, n=6, slots=3, real=[5]))

    with pytest.raises(ValueError, match="is none of the request's"):
        found.rank_of(torch.tensor([wrong]))


def test_a_single_candidate_is_a_list_by_itself(make_requests, make_evaluator) -> None:
    request, evaluator = make_requests(1, n=5, slots=3, real=[1]), make_evaluator(3)
    found = all_list_values(evaluator, request)

    assert (len(found), found.slots, found.best()[0].tolist()) == (1, 1, [0])
    assert torch.allclose(found.values, by_whole_passes(evaluator, request, [(0,)]), atol=1e-6)


def test_what_leaves_nothing_to_search_is_refused(make_requests, make_evaluator) -> None:
    request, evaluator = make_requests(1, n=5, slots=3), make_evaluator(3)
    with pytest.raises(ValueError, match="rows is 0; allowed: 1 or more"):
        all_list_values(evaluator, request, rows=0)
    with pytest.raises(ValueError, match="candidates is 0; allowed: 1 or more"):
        all_list_values(evaluator, replace(request, mask=torch.zeros(1, 5, dtype=torch.bool)))


def test_several_requests_are_refused(make_requests, make_evaluator) -> None:
    with pytest.raises(ValueError, match="request is 2; allowed: one request"):
        all_list_values(make_evaluator(), make_requests(2))
