import math

import numpy as np
import pytest
import torch
from by_hand import AddingJudge, requests_of, truth_of

from degre_pipeline.judging.judges import (
    EvaluatorJudge,
    Optimum,
    TruthJudge,
    draw_requests,
    prefix_values,
    true_ndcg,
    true_optimum,
    truth_or_none,
    values_of_lists,
)
from degre_pipeline.reranker.models.evaluator import prefix_values as whole_passes
from degre_pipeline.reranker.requests import gather_candidates

TRUTH = truth_of({7: [0.5, 0.4, 0.8], 8: [0.8, 0.4, 0.5]})
SECOND_SLOT = 1 / math.log2(3)
"""Discount of the second slot; the first slot's is 1."""


class TestTruthJudge:
    def test_by_hand(self) -> None:
        lists = torch.tensor([[[2, 1], [0, 2], [2, 0], [2, -1]]])
        values = TruthJudge(TRUTH).prefix_values(requests_of([7]), lists)

        expected = [[0.8, 0.8 + 0.4], [0.5, 0.5 + 0.5], [0.8, 0.8 + 0.2], [0.8, 0.8]]
        assert values[0] == pytest.approx(np.array(expected), abs=1e-6)

    def test_finds_requests_by_their_id_not_by_their_place(self) -> None:
        first_candidate = torch.tensor([[[0, 1]], [[0, 1]]])
        values = TruthJudge(TRUTH).prefix_values(requests_of([8, 7]), first_candidate)

        assert values[:, 0, 0] == pytest.approx([0.8, 0.5], abs=1e-6)


def test_an_evaluator_judges_by_the_prefix_values_of_whole_passes(make_requests, make_evaluator) -> None:
    requests, evaluator = make_requests(2, n=4, slots=3), make_evaluator(3)
    lists = torch.tensor([[[0, 1, 2], [3, 1, 0]], [[2, 1, 0], [1, 2, 3]]])
    values = EvaluatorJudge("external", evaluator).prefix_values(requests, lists)

    for row, column in np.ndindex(2, 2):
        one = requests.select(slice(row, row + 1))
        items = gather_candidates(one.candidates, lists[row : row + 1, column])
        expected = whole_passes(evaluator(one.static, items))[0].tolist()
        assert values[row, column].tolist() == pytest.approx(expected, abs=1e-9)


WORTHS = {7: [0.1, 0.2, 0.4], 8: [1.0, 2.0, 4.0], 9: [10.0, 20.0, 40.0]}


class TestBatches:
    lists = torch.tensor([[[0, 1]], [[1, 2]], [[2, 0]]])

    @pytest.mark.parametrize(("batch_size", "batches"), [(1, [1, 1, 1]), (2, [2, 1]), (5, [3])])
    def test_change_nothing(self, batch_size, batches) -> None:
        judge = AddingJudge(WORTHS)
        values = prefix_values(judge, requests_of([7, 8, 9]), self.lists, batch_size)

        expected = np.array([[0.1, 0.1 + 0.2], [2.0, 2.0 + 4.0], [40.0, 40.0 + 10.0]])
        assert values[:, 0] == pytest.approx(expected)
        assert judge.batches == batches

    def test_a_list_is_worth_its_last_prefix(self) -> None:
        values = values_of_lists(AddingJudge(WORTHS), requests_of([7, 8, 9]), self.lists[:, 0], 2)

        assert values.tolist() == pytest.approx([0.1 + 0.2, 2.0 + 4.0, 40.0 + 10.0])

    def test_a_list_of_three_is_worth_all_three(self) -> None:
        values = values_of_lists(AddingJudge(WORTHS), requests_of([7], slots=3), torch.tensor([[2, 0, 1]]), 2)

        assert values.tolist() == pytest.approx([0.4 + 0.1 + 0.2])

    def test_values_that_are_compared_have_six_decimals(self) -> None:
        judge = AddingJudge({7: [0.1234564, 0.0, 0.0], 8: [0.1234566, 0.0, 0.0]})
        values = values_of_lists(judge, requests_of([7, 8]), torch.tensor([[0, 1], [0, 1]]), 2)

        assert values.tolist() == [0.123456, 0.123457]


class TestOptimum:
    def test_by_hand(self) -> None:
        optimum = true_optimum(TRUTH, 2)

        # [1, 2] and [2, 1] tie at 1.2 clicks in request 7; [0, 1] and [1, 0] in request 8.
        assert [sorted(best) for best in optimum.sequences.tolist()] == [[1, 2], [0, 1]]
        assert optimum.utility == pytest.approx([0.8 + 0.4, 0.8 + 0.4], abs=1e-6)
        # With discounts the likelier click goes first.
        best_gain = 0.8 + 0.4 * SECOND_SLOT
        assert optimum.discounted_gain == pytest.approx([best_gain, best_gain], abs=1e-6)

    def test_of_a_single_slot_is_the_likeliest_click(self) -> None:
        one_slot = true_optimum(TRUTH, 1)

        assert one_slot.sequences.tolist() == [[2], [0]]
        assert one_slot.utility == pytest.approx([0.8, 0.8], abs=1e-6)
        assert one_slot.discounted_gain == pytest.approx([0.8, 0.8], abs=1e-6)


class TestTrueNdcg:
    optimum = Optimum(np.array([[2, 1]] * 2), np.array([1.2, 1.2]), np.array([0.8 + 0.4 * SECOND_SLOT, 2.0]))

    def test_by_hand(self) -> None:
        """The prefix values 0.4, 1.2 are click probabilities 0.4 and 0.8; the first slot counts in full."""
        found = true_ndcg(np.array([[0.4, 1.2], [0.5, 1.0]]), self.optimum)

        first = (0.4 + 0.8 * SECOND_SLOT) / (0.8 + 0.4 * SECOND_SLOT)
        second = (0.5 + 0.5 * SECOND_SLOT) / 2.0
        assert found.tolist() == pytest.approx([first, second])
        assert found.tolist() == pytest.approx([0.8597, 0.4077], abs=1e-4)

    def test_the_best_order_has_one(self) -> None:
        found = true_ndcg(np.array([[0.8, 1.2], [2.0, 2.0]]), self.optimum)

        assert found.tolist() == pytest.approx([1.0, 1.0])

    def test_is_one_for_the_optimum_of_a_world_and_less_for_every_other_order(self) -> None:
        requests = requests_of([7])
        lists = torch.tensor([[[0, 1], [0, 2], [1, 0], [1, 2], [2, 0], [2, 1]]])
        values = TruthJudge(TRUTH).prefix_values(requests, lists)[0]
        best = true_optimum(TRUTH.select([7]), 2)
        share = true_ndcg(values, Optimum(best.sequences, best.utility, best.discounted_gain.repeat(6)))

        assert share[5] == pytest.approx(1.0)
        assert share[:5].max() < 1.0


class TestTruthOrNone:
    def test_is_none_where_nobody_knows_it(self) -> None:
        assert truth_or_none({}, requests_of([7])) is None

    def test_is_in_the_order_of_the_requests(self) -> None:
        found = truth_or_none(TRUTH.to_tensors(), requests_of([8, 7]))

        assert found is not None
        assert found.request_id.tolist() == [8, 7]
        assert found.stand_alone_logits[:, 0].tolist() == pytest.approx([math.log(4), 0.0])


class TestDrawRequests:
    requests = requests_of(range(100, 120))

    @pytest.mark.parametrize(("most", "count"), [(1, 1), (5, 5), (20, 20), (50, 20), (0, 20)])
    def test_takes_at_most_so_many_each_once(self, most, count) -> None:
        drawn = draw_requests(self.requests, most, seed=0).request_id.tolist()

        assert len(drawn) == len(set(drawn)) == count
        assert set(drawn) <= set(range(100, 120))

    def test_the_order_is_drawn_too_and_repeats_by_seed(self) -> None:
        every = draw_requests(self.requests, 0, seed=1).request_id.tolist()

        assert every != sorted(every)
        assert draw_requests(self.requests, 5, seed=1).request_id.tolist() == every[:5]
        assert draw_requests(self.requests, 0, seed=2).request_id.tolist() != every
