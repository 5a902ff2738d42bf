import pytest

from degre_pipeline.release.gate.contest import invalid_rows


@pytest.mark.parametrize(
    ("own", "candidates", "valid"),
    [
        ([3, 0, 1], 5, True),
        ([3, 0], 5, False),  # too short
        ([3, 0, 1, 2], 5, False),  # too long
        ([1, 0], 2, True),  # as long as there are candidates
        ([0], 1, True),
        ([3, 3, 1], 5, False),  # one twice
        ([3, 0, 5], 5, False),  # none of the candidates
        ([3, 0, -1], 5, False),
        ([], 5, False),
    ],
)
def test_a_list_is_an_order_of_candidates_that_fills_its_slots(own, candidates, valid):
    assert invalid_rows([[0, 1, 2], own], [5, candidates], 3) == frozenset(() if valid else {1})


def test_a_list_of_any_length_is_an_order_where_no_length_is_asked_for():
    assert invalid_rows([[0], [2, 1], [1, 1], []], [3, 3, 3, 3], None) == {2, 3}
