import numpy as np
import pytest
import torch
from torch import Tensor

from degre_pipeline.reranker.metrics import hits, ranks
from degre_pipeline.reranker.models.evaluator import LookaheadEvaluator, prefix_values
from degre_pipeline.reranker.requests import Requests
from degre_pipeline.reranker.search import valuation
from degre_pipeline.reranker.search.valuation import list_prefix_values, list_values, random_lists


def plain(evaluator: LookaheadEvaluator, requests: Requests, sequences: Tensor) -> Tensor:
    """Prefix values list by list, each cut to its real items; -1 becomes the value so far."""
    values = torch.zeros(sequences.shape, dtype=torch.float64)
    for row, column in np.ndindex(*sequences.shape[:2]):
        sequence = [item for item in sequences[row, column].tolist() if item >= 0]
        if sequence:
            items = requests.candidates[row, sequence][None]
            some = prefix_values(evaluator(requests.static[row : row + 1], items))[0]
            values[row, column] = torch.cat([some, some[-1:].expand(sequences.shape[2] - len(sequence))])
    return values


def lists_of(requests: Requests, count: int, slots: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(
        random_lists(requests.mask.numpy(), requests.request_id.numpy(), count, slots, seed)
    )


@pytest.mark.parametrize(("count", "depth"), [(29, 0), (30, 1), (119, 1), (120, 2), (150, 2)])
@pytest.mark.parametrize("real", [[5, 5], [3, 2], [5, 1]])
def test_shared_prefixes_give_the_values_of_whole_lists(  # noqa: PLR0917 - parametrized
    make_requests, make_evaluator, monkeypatch: pytest.MonkeyPatch, count: int, depth: int, real: list[int]
) -> None:
    requests = make_requests(2, n=5, slots=3, real=real)
    evaluator, sequences = make_evaluator(3).requires_grad_(False), lists_of(requests, count, 3)
    monkeypatch.setattr(valuation, "CHUNK", 64)
    values = list_prefix_values(evaluator, requests, sequences)

    assert valuation._shared_depth(5, count, 3) == depth
    assert torch.allclose(values, plain(evaluator, requests, sequences), atol=1e-10)
    assert torch.equal(list_values(evaluator, requests, sequences), values[..., -1])


def test_single_precision_agrees_within_a_hundred_thousandth(make_requests, make_evaluator) -> None:
    requests, evaluator = make_requests(1, n=6, slots=4), make_evaluator().requires_grad_(False)
    sequences = lists_of(requests, 800, 4)

    assert valuation._shared_depth(6, 800, 4) == 3
    exact = list_prefix_values(evaluator, requests, sequences)
    assert torch.allclose(
        list_prefix_values(evaluator.float(), requests, sequences).double(), exact, atol=1e-5
    )


def test_a_short_list_keeps_its_last_value_and_an_empty_one_is_worth_nothing(
    make_requests, make_evaluator
) -> None:
    requests, evaluator = make_requests(1), make_evaluator()
    values = list_prefix_values(
        evaluator, requests, torch.tensor([[[2, 5, -1, -1], [2, 5, 1, 0], [-1] * 4]])
    )[0]

    assert values[0, 1] == values[0, 2] == values[0, 3]
    assert torch.allclose(values[0, :2], values[1, :2])
    assert values[1, 2] != values[1, 1]
    assert values[2].tolist() == [0, 0, 0, 0]


class TestRandomLists:
    mask = np.array([[True] * 12, [True] * 8 + [False] * 4, [True] * 4 + [False] * 8])
    ids = np.array([7, 8, 9])

    def test_are_distinct_real_candidates_and_short_where_few_exist(self) -> None:
        twelve, eight, four = random_lists(self.mask, self.ids, 300, 6, seed=0)

        assert all(len(set(drawn)) == 6 for drawn in twelve.tolist() + eight.tolist())
        assert (twelve.min(), twelve.max(), eight.min(), eight.max()) == (0, 11, 0, 7)
        assert all(sorted(drawn[:4]) == [0, 1, 2, 3] and drawn[4:] == [-1, -1] for drawn in four.tolist())

    def test_a_request_gets_the_same_lists_whatever_else_is_asked_for(self) -> None:
        together = random_lists(self.mask, self.ids, 50, 6, seed=3)
        alone = random_lists(self.mask[[1]], self.ids[[1]], 50, 6, seed=3)
        reversed_order = random_lists(self.mask[::-1], self.ids[::-1], 50, 6, seed=3)

        assert np.array_equal(together[1], alone[0])
        assert np.array_equal(together, reversed_order[::-1])

    def test_requests_and_seeds_have_lists_of_their_own(self) -> None:
        full = np.ones((2, 12), dtype=bool)
        one, other = random_lists(full, np.array([1, 2]), 50, 6, seed=0)
        reseeded = random_lists(full[:1], np.array([1]), 50, 6, seed=1)[0]

        assert not np.array_equal(one, other)
        assert not np.array_equal(one, reseeded)

    def test_are_uniform_among_ordered_lists(self) -> None:
        drawn = random_lists(np.ones((1, 4), dtype=bool), np.array([1]), 24_000, 2, seed=0)[0]
        counts = np.bincount(drawn[:, 0] * 4 + drawn[:, 1], minlength=16).reshape(4, 4)
        off_diagonal = counts[~np.eye(4, dtype=bool)]

        assert counts.trace() == 0
        # Twelve lists, 2,000 each expected; chi-square with 11 degrees of freedom, 99.9% quantile 31.3.
        assert ((off_diagonal - 2000) ** 2 / 2000).sum() < 31.3

    def test_wrong_sizes_are_named(self) -> None:
        with pytest.raises(ValueError, match="count is 0"):
            random_lists(self.mask, self.ids, 0, 6, seed=0)
        with pytest.raises(ValueError, match="list_length is 13; allowed: at most 12 candidates"):
            random_lists(self.mask, self.ids, 1, 13, seed=0)


def test_hit_rates_of_random_best_and_worst_lists(make_requests, make_evaluator) -> None:
    requests, evaluator = make_requests(400, n=6, slots=3), make_evaluator(3)
    compared = list_values(evaluator, requests, lists_of(requests, 100, 3)).numpy()
    drawn = list_values(evaluator, requests, lists_of(requests, 1, 3, seed=1)).numpy()[:, 0]

    rate = hits(ranks(drawn, compared), 100, 10).mean()
    assert abs(rate - 0.1) < 3 * np.sqrt(0.1 * 0.9 / 400) + 0.01
    assert hits(ranks(compared.max(1), compared), 100, 1).tolist() == [1] * 400
    assert hits(ranks(compared.min(1), compared), 100, 10).tolist() == [0] * 400
