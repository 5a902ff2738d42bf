from dataclasses import replace
from itertools import permutations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from reencoding import beam_search_by_reencoding
from torch import Tensor

from degre_pipeline.reranker.models.evaluator import Cache, LookaheadEvaluator, prefix_values
from degre_pipeline.reranker.requests import Requests, gather_candidates
from degre_pipeline.reranker.search.beam import beam_search


class AdditiveEvaluator:
    """Stands in for an evaluator: an item's probability is column 0 of its indices, in percent, anywhere."""

    def __init__(self, list_length: int) -> None:
        self.list_length = list_length

    def project(self, static: Tensor, candidates: Tensor) -> Tensor:
        return candidates[..., :1].double() / 100

    def empty_cache(self, prefixes: int, like: Tensor) -> Cache:
        return [(like.new_empty(prefixes, 0, 1), like.new_empty(prefixes, 0, 1))]

    def extend(self, vectors: Tensor, cache: Cache, slot: int) -> tuple[Tensor, Cache]:
        return cache[0][0].sum((1, 2))[:, None] + vectors[..., 0], [(vectors, vectors)]


def with_worths(requests: Requests, worths: list[list[int]]) -> Requests:
    candidates = requests.candidates.clone()
    candidates[..., 0] = torch.tensor(worths)
    return replace(requests, candidates=candidates)


def all_lists(
    evaluator: LookaheadEvaluator, requests: Requests, slots: int
) -> list[tuple[float, tuple[int, ...]]]:
    """Every list of the first request with its value by whole passes, best first."""
    lists = list(permutations(range(requests.mask.shape[1]), slots))
    items = gather_candidates(requests.candidates, torch.tensor(lists)[None])[0]
    values = prefix_values(evaluator(requests.static.expand(len(lists), -1), items))[:, -1].tolist()
    return sorted(zip(values, lists, strict=True), reverse=True)


@pytest.mark.parametrize(
    ("beam_size", "expansions"), [(1, 57), (8, 372), (2, 12 + 2 * 45), (20, 12 + 12 * 11 + 20 * 34)]
)
def test_expansions_of_twelve_candidates_and_six_slots(
    make_requests, make_evaluator, beam_size, expansions
) -> None:
    found = beam_search(make_evaluator(6), make_requests(2, n=12, slots=6), beam_size=beam_size)

    assert found.expansions.tolist() == [expansions] * 2
    assert found.step_values.isfinite().sum((2, 3))[0, 0] == 57


def test_a_beam_of_all_shorter_prefixes_is_exhaustive(make_requests, make_evaluator) -> None:
    requests, evaluator = make_requests(1, n=6, slots=4, seed=3), make_evaluator(4).requires_grad_(False)
    expected = all_lists(evaluator, requests, 4)
    found = beam_search(evaluator, requests, beam_size=6 * 5 * 4)

    assert [tuple(sequence) for sequence in found.sequences[0].tolist()] == [
        sequence for _, sequence in expected[:120]
    ]
    assert found.values[0].tolist() == pytest.approx([value for value, _ in expected[:120]])


def test_a_wider_beam_finds_a_better_list_than_a_greedy_one(make_requests, make_evaluator) -> None:
    requests, evaluator = make_requests(8, n=6, slots=4), make_evaluator(4)
    narrow, wide = (beam_search(evaluator, requests, beam_size=size).values[:, 0] for size in (1, 120))

    assert (wide >= narrow - 1e-12).all()
    assert (wide > narrow + 1e-6).any()


def test_a_beam_of_one_returns_the_best_items_of_additive_values_in_descending_order(make_requests) -> None:
    worths = [[20, 90, 10, 70, 50, 30, 80, 60], [5, 6, 7, 8, 1, 2, 3, 4]]
    requests = with_worths(make_requests(2, n=8, slots=4), worths)
    found = beam_search(AdditiveEvaluator(4), requests, beam_size=1)

    assert found.sequences[:, 0].tolist() == [[1, 6, 3, 7], [3, 2, 1, 0]]
    assert found.values[:, 0].tolist() == pytest.approx([3.0, 0.26])


def test_an_additive_beam_is_worth_the_sum_of_its_items_and_stores_every_extension(make_requests) -> None:
    requests = with_worths(make_requests(1, n=4, slots=2), [[20, 90, 10, 70]])
    found = beam_search(AdditiveEvaluator(2), requests, beam_size=3)

    assert found.sequences[0].tolist() == [[1, 3], [3, 1], [1, 0]]
    assert found.values[0].tolist() == pytest.approx([1.6, 1.6, 1.1])
    assert found.step_values[0, 1, 0].tolist() == pytest.approx([0.2, 0.9, 0.1, 0.7])
    assert found.step_values[0, 1, 1].tolist() == pytest.approx([0.9, 1.6, 0.8, -float("inf")])


def test_ties_go_to_the_better_prefix_then_to_the_lower_index(make_requests) -> None:
    requests = with_worths(make_requests(1, n=4, slots=2), [[50, 50, 50, 50]])
    found = beam_search(AdditiveEvaluator(2), requests, beam_size=5)

    assert found.sequences[0].tolist() == [[0, 1], [0, 2], [0, 3], [1, 0], [1, 2]]


@given(
    seed=st.integers(0, 1000),
    n=st.integers(3, 7),
    slots=st.integers(1, 3),
    beam_size=st.integers(1, 9),
    attention=st.sampled_from(["full", "mtgr", "none"]),
)
def test_cached_search_equals_encoding_every_prefix_anew(  # noqa: PLR0917 - hypothesis
    make_requests, make_evaluator, seed: int, n: int, slots: int, beam_size: int, attention: str
) -> None:
    requests = make_requests(2, n=n, slots=slots, real=[n, max(slots, n - 2)], seed=seed)
    evaluator = make_evaluator(slots, seed=seed, field_attention=attention, layers=1 + seed % 2)
    found = beam_search(evaluator, requests, beam_size=beam_size)
    sequences, values = beam_search_by_reencoding(evaluator, requests, beam_size=beam_size)

    for row in range(2):
        exists, wanted = found.values[row].isfinite(), values[row].isfinite()
        assert torch.equal(found.sequences[row][exists], sequences[row][wanted])
        assert torch.allclose(found.values[row][exists], values[row][wanted], atol=1e-5)


def test_step_values_are_the_values_of_one_item_more(make_requests, make_evaluator) -> None:
    requests, evaluator = make_requests(1, n=5, slots=3), make_evaluator(3).requires_grad_(False)
    found = beam_search(evaluator, requests, beam_size=4)

    for k, sequence in enumerate(found.sequences[0].tolist()):
        for slot in range(3):
            for item in range(5):
                stored = float(found.step_values[0, k, slot, item])
                if item in sequence[:slot]:
                    assert stored == -float("inf")
                    continue
                items = requests.candidates[:, [*sequence[:slot], item]]
                assert stored == pytest.approx(float(prefix_values(evaluator(requests.static, items))[0, -1]))


def test_top_k_keeps_the_highest_ranked_of_what_remains(make_requests) -> None:
    requests = with_worths(make_requests(1, n=5, slots=3), [[10, 20, 30, 40, 90]])
    requests = replace(requests, scores=torch.tensor([[5.0, 4.0, 3.0, 2.0, 1.0]]))
    found = beam_search(AdditiveEvaluator(3), requests, beam_size=1, top_k=2)

    assert found.sequences[0, 0].tolist() == [1, 2, 3]
    assert found.expansions.tolist() == [2 * 3]
    assert found.step_values[0, 0].isfinite().tolist() == [
        [True, True, False, False, False],
        [True, False, True, False, False],
        [True, False, False, True, False],
    ]


def test_top_k_leaves_ties_to_the_lower_index(make_requests) -> None:
    requests = with_worths(make_requests(1, n=4, slots=2), [[50, 50, 50, 50]])
    requests = replace(requests, scores=torch.tensor([[1.0, 2.0, 4.0, 3.0]]))
    found = beam_search(AdditiveEvaluator(2), requests, beam_size=2, top_k=3)

    assert found.sequences[0].tolist() == [[1, 0], [1, 2]]


def test_top_k_of_all_candidates_is_no_truncation(make_requests, make_evaluator) -> None:
    requests, evaluator = make_requests(3, n=6, real=[6, 5, 4]), make_evaluator()
    plain, truncated = (beam_search(evaluator, requests, beam_size=4, top_k=k) for k in (0, 6))

    assert torch.equal(plain.sequences, truncated.sequences)
    assert torch.equal(plain.step_values, truncated.step_values)


def test_top_k_skips_padded_candidates(make_requests, make_evaluator) -> None:
    requests = make_requests(1, n=6, slots=3, real=[4])
    requests = replace(requests, scores=torch.tensor([[-5.0, -4.0, -3.0, -2.0, 0.0, 0.0]]))
    found = beam_search(make_evaluator(3), requests, beam_size=2, top_k=1)

    assert found.sequences[0].tolist() == [[3, 2, 1]]


@pytest.mark.parametrize("beam_size", [1, 8])
def test_padded_candidates_are_in_no_list_and_few_candidates_give_short_lists(
    make_requests, make_evaluator, beam_size: int
) -> None:
    requests = make_requests(3, n=12, slots=6, real=[8, 4, 12])
    found = beam_search(make_evaluator(6), requests, beam_size=beam_size)
    eight, four, twelve = found.sequences.tolist()

    assert all(len(set(sequence)) == 6 and max(sequence) < 8 and min(sequence) >= 0 for sequence in eight)
    assert all(sorted(sequence[:4]) == [0, 1, 2, 3] and sequence[4:] == [-1, -1] for sequence in four)
    assert all(len(set(sequence)) == 6 and min(sequence) >= 0 for sequence in twelve)
    assert not found.step_values[0, ..., 8:].isfinite().any()
    assert not found.step_values[1, :, 4:].isfinite().any()


def test_a_short_list_keeps_the_value_of_its_last_item(make_requests, make_evaluator) -> None:
    requests, evaluator = make_requests(1, n=6, slots=4, real=[2]), make_evaluator(4).requires_grad_(False)
    found = beam_search(evaluator, requests, beam_size=2)
    items = gather_candidates(requests.candidates, found.sequences[0, :, :2][None])[0]
    expected = prefix_values(evaluator(requests.static.expand(2, -1), items))[:, -1]

    assert torch.allclose(found.values[0], expected)


def test_beams_that_do_not_exist_are_empty(make_requests, make_evaluator) -> None:
    found = beam_search(make_evaluator(3), make_requests(2, n=4, slots=3, real=[2, 4]), beam_size=8)

    assert found.values[0].isfinite().tolist() == [True] * 2 + [False] * 6
    assert sorted(found.sequences[0, :2].tolist()) == [[0, 1, -1], [1, 0, -1]]
    assert (found.sequences[0, 2:] == -1).all()
    assert not found.step_values[0, 2:].isfinite().any()
    assert found.expansions.tolist() == [2 + 2, 4 + 12 + 8 * 2]
    assert found.values[1].isfinite().all()


def test_a_request_is_searched_alike_in_any_batch(make_requests, make_evaluator) -> None:
    requests, evaluator = make_requests(4, real=[8, 3, 5, 8]), make_evaluator()
    together = beam_search(evaluator, requests, beam_size=3)
    alone = [beam_search(evaluator, requests.select(slice(row, row + 1)), beam_size=3) for row in range(4)]

    assert torch.equal(together.sequences, torch.cat([found.sequences for found in alone]))
    assert torch.equal(together.expansions, torch.cat([found.expansions for found in alone]))


def test_wrong_breadths_are_named(make_requests, make_evaluator) -> None:
    with pytest.raises(ValueError, match="beam_size is 0"):
        beam_search(make_evaluator(), make_requests(), beam_size=0)
    with pytest.raises(ValueError, match="top_k is -1"):
        beam_search(make_evaluator(), make_requests(), beam_size=1, top_k=-1)
    with pytest.raises(ValueError, match="orders_per_set is -1"):
        beam_search(make_evaluator(), make_requests(), beam_size=1, orders_per_set=-1)
