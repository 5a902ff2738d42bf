from dataclasses import dataclass

import numpy as np
import pytest
import torch

from degre_pipeline.judging.judges import values_of_lists
from degre_pipeline.release.gate.version_values import as_sequences, independent_judges, judged_lists


@pytest.fixture
def some(shop):
    return shop.encoded.of("test").select(slice(0, 3))


@dataclass(frozen=True)
class Sums:
    """A judge that adds up the places of the candidates, counted from one."""

    name: str

    def prefix_values(self, requests, sequences):
        return (sequences + 1).cumsum(-1).double().numpy()


def test_lists_are_padded_and_invalid_ones_are_empty():
    sequences = as_sequences([[2, 0], [1, 1, 1], [3, 1, 0]], {1}, 3)
    assert sequences.tolist() == [[2, 0, -1], [-1, -1, -1], [3, 1, 0]]


def test_both_lists_are_cut_to_the_slots_that_both_fill(some):
    longer = [[0, 1, 2, 3], [0, 1], [3, 2, 1, 0]]
    shorter = [[7, 6], [5, 4, 3, 2], [1, 0]]
    ranked = {"challenger": (longer, ()), "champion": (shorter, ()), "reference": ((), ())}
    judged = judged_lists(some, ranked, [Sums("truth")], 2)
    assert judged["reference"].isna().all()
    assert judged["challenger"].to_list() == [3, 3, 7]
    assert judged["champion"].to_list() == [15, 11, 3]


def test_an_invalid_list_and_an_absent_champion_have_no_value(some):
    lists = [[0, 1], [0, 0], [2, 1]]
    ranked = {"challenger": (lists, {1}), "champion": ((), ())}
    judged = judged_lists(some, ranked, [Sums("truth"), Sums("external")], 2)
    assert judged["judge"].to_list() == ["truth"] * 3 + ["external"] * 3
    np.testing.assert_array_equal(judged["challenger"], [3, np.nan, 5] * 2)
    assert judged["champion"].isna().all()


def test_the_external_evaluator_judges_alone_where_nobody_knows_the_truth(
    some, shop, external_evaluator, shop_truth, gate_settings
):
    alone = independent_judges(external_evaluator, {}, some, gate_settings)
    assert [judge.name for judge in alone] == ["external"]
    both = independent_judges(external_evaluator, shop_truth, some, gate_settings)
    assert [judge.name for judge in both] == ["truth", "external"]
    for judge in both:
        values = values_of_lists(judge, some, torch.tensor([[0, 1, 2, 3]] * 3), batch_size=2)
        assert values.shape == (3,)
        assert ((values > 0) & (values < 4)).all()
