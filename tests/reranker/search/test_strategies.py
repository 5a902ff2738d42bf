import pytest
import torch

from degre_pipeline.reranker.search.beam import beam_search, extension_values
from degre_pipeline.reranker.search.exact import ROWS, all_list_values, tree_size
from degre_pipeline.reranker.search.mining_config import MiningConfig
from degre_pipeline.reranker.search.strategies import (
    beam_expansions,
    bounded_search,
    build_search,
    requests_at_once,
    widest_beam,
)

TWELVE = [12, 11, 10, 9, 8, 7]


def sets_of(sequences: torch.Tensor) -> list[frozenset[int]]:
    return [frozenset(sequence) for sequence in sequences.tolist()]


class TestDiverseBeam:
    def test_keeps_one_order_of_every_set_while_there_are_others(self, make_requests, make_evaluator) -> None:
        requests, evaluator = make_requests(3, n=7, slots=4), make_evaluator(4)
        plain, diverse = (
            beam_search(evaluator, requests, beam_size=6, orders_per_set=orders) for orders in (0, 1)
        )

        assert all(len(set(sets_of(sequences))) == 6 for sequences in diverse.sequences)
        assert any(len(set(sets_of(sequences))) < 6 for sequences in plain.sequences)
        assert torch.equal(diverse.expansions, plain.expansions)

    def test_keeps_the_best_order_of_a_set_and_sorts_by_value(self, make_requests, make_evaluator) -> None:
        requests, evaluator = make_requests(2, n=5, slots=3), make_evaluator(3)
        wide = beam_search(evaluator, requests, beam_size=60)
        best_of_sets = [
            max(value for value, found in zip(values, sets_of(sequences), strict=True) if found == wanted)
            for sequences, values in zip(wide.sequences, wide.values.tolist(), strict=True)
            for wanted in sorted(set(sets_of(sequences)), key=sorted)
        ]
        # A beam of all 20 two-item prefixes reaches every list, so only the last choice is diverse.
        diverse = beam_search(evaluator, requests, beam_size=20, orders_per_set=2)

        assert (diverse.values.diff(dim=1)[diverse.values[:, 1:].isfinite()] <= 0).all()
        for row in range(2):
            found = sets_of(diverse.sequences[row])
            assert max(found.count(one) for one in found) == 2
            assert len(set(found)) == 10
            tops = {one: diverse.values[row, found.index(one)].item() for one in set(found)}
            wanted = sorted(best_of_sets[10 * row : 10 * row + 10])
            assert sorted(tops.values()) == pytest.approx(wanted)

    def test_fills_the_beam_with_further_orders_where_sets_run_out(self, make_requests, make_evaluator):
        found = beam_search(make_evaluator(3), make_requests(1, n=3, slots=3), beam_size=6, orders_per_set=1)

        assert len(set(map(tuple, found.sequences[0].tolist()))) == 6
        assert found.values.isfinite().all()

    def test_short_lists_and_padding(self, make_requests, make_evaluator) -> None:
        requests = make_requests(2, n=6, slots=4, real=[2, 6])
        found = beam_search(make_evaluator(4), requests, beam_size=4, orders_per_set=1)

        assert sorted(found.sequences[0, :2].tolist()) == [[0, 1, -1, -1], [1, 0, -1, -1]]
        assert not found.values[0, 2:].isfinite().any()
        assert (found.sequences[0, 2:] == -1).all()
        assert len(set(sets_of(found.sequences[1]))) == 4


class TestBoundedSearch:
    @pytest.mark.parametrize(("budget", "width"), [(57, 1), (371, 7), (372, 8), (1, 1), (773_664, 95_040)])
    def test_takes_the_widest_beam_that_the_budget_allows(self, budget: int, width: int) -> None:
        assert widest_beam(TWELVE, budget) == min(width, budget)

    @pytest.mark.parametrize(("beam", "expansions"), [(1, 57), (8, 372), (95_040, 773_664)])
    def test_counts_expansions(self, beam: int, expansions: int) -> None:
        assert beam_expansions(TWELVE, beam) == expansions

    def test_is_exact_when_the_budget_covers_all_lists(self, make_requests, make_evaluator) -> None:
        requests, evaluator = make_requests(3, n=6, slots=3, real=[6, 5, 2]), make_evaluator(3)
        found = bounded_search(evaluator, requests, beam_size=4, most_expansions=tree_size(6, 3))
        wide = beam_search(evaluator, requests, beam_size=30)

        assert torch.equal(found.sequences, wide.sequences[:, :4])
        assert torch.allclose(found.values, wide.values[:, :4].float(), atol=1e-6)
        assert torch.allclose(found.step_values, wide.step_values[:, :4])
        assert found.expansions.tolist() == [tree_size(6, 3), tree_size(5, 3), tree_size(2, 3)]

    def test_below_that_it_is_the_widest_beam_and_spends_no_more(self, make_requests, make_evaluator) -> None:
        requests, evaluator = make_requests(3, n=7, slots=4), make_evaluator(4)
        found = bounded_search(evaluator, requests, beam_size=3, most_expansions=300)
        narrow = beam_search(evaluator, requests, beam_size=3)
        exact = [all_list_values(evaluator, requests.select(slice(r, r + 1))).best()[1] for r in range(3)]

        assert found.sequences.shape == (3, 3, 4)
        assert (found.expansions > narrow.expansions).all()
        assert (found.expansions <= 300).all()
        assert (found.values[:, 0] >= narrow.values[:, 0] - 1e-9).all()
        assert (found.values[:, 0] <= torch.tensor(exact) + 1e-9).all()


def test_extension_values_are_the_step_values_of_the_search(make_requests, make_evaluator) -> None:
    requests, evaluator = make_requests(3, n=6, slots=4, real=[6, 5, 3]), make_evaluator(4)
    found = beam_search(evaluator, requests, beam_size=5)
    again = extension_values(evaluator, requests, found.sequences)
    exists = found.values.isfinite()

    assert torch.allclose(again[exists], found.step_values[exists])
    assert not again[~exists].isfinite().any()


@pytest.mark.parametrize("strategy", ["beam", "diverse_beam", "bounded"])
def test_every_strategy_has_one_interface(make_requests, make_evaluator, strategy: str) -> None:
    requests, evaluator = make_requests(2, n=6, slots=3, real=[6, 4]), make_evaluator(3)
    config = MiningConfig(strategy=strategy, beam_size=4, most_expansions=50)
    found = build_search(config)(evaluator, requests)

    assert found.sequences.shape == (2, 4, 3)
    assert found.values.shape == (2, 4)
    assert found.step_values.shape == (2, 4, 3, 6)
    assert found.values[:, 0].isfinite().all()
    assert (found.values.diff(dim=1) <= 0).all()


def test_as_many_requests_at_once_as_fit_the_rows() -> None:
    cpu = torch.device("cpu")

    assert requests_at_once(MiningConfig(beam_size=8), 12, 6, cpu) == ROWS // 96
    assert requests_at_once(MiningConfig(beam_size=8, top_k=4), 12, 6, cpu) == ROWS // 32
    assert requests_at_once(MiningConfig(beam_size=10_000), 60, 6, cpu) == 1
    assert requests_at_once(MiningConfig(batch_size=7), 12, 6, cpu) == 7
    assert requests_at_once(MiningConfig(strategy="bounded", most_expansions=372), 12, 6, cpu) == ROWS // 96


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("strategy", "deep"),
        ("beam_size", 0),
        ("beam_size", 10_001),
        ("orders_per_set", 0),
        ("most_expansions", 0),
    ],
)
def test_wrong_settings_are_named(setting: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"{setting} is {value!r}"):
        MiningConfig(**{setting: value})
