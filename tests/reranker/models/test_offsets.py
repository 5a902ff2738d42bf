import pytest
import torch

from degre_pipeline.reranker.models.offsets import ValueOffsets
from degre_pipeline.reranker.schema import FieldSize

SIZES = (
    FieldSize("user_id", "categorical", "user", 1, 3, additive=True),
    FieldSize("hour", "categorical", "context", 1, 4),
    FieldSize("liked", "tags", "context", 4, 5, additive=True),
    FieldSize("item_id", "categorical", "item", 1, 3, additive=True),
)
NAMES = ("user_id", "liked", "item_id")
# Columns: user, hour, four liked items.
STATIC = torch.tensor([[1, 2, 1, 2, 3, 4], [0, 1, 1, 0, 0, 0]])
CANDIDATES = torch.tensor([[[1], [0]], [[2], [1]]])


@pytest.fixture
def offsets() -> ValueOffsets:
    """One factor; every table has offsets 10 x index and factors index, of the items 2 x index."""
    made = ValueOffsets(SIZES, NAMES, factors=1).requires_grad_(False)
    for scale, table in zip((1, 1, 2), (*made.static, *made.candidate), strict=True):
        index = torch.arange(len(table.weight)).float()
        table.weight[:] = torch.stack([10 * index, scale * index], 1)
    return made


def test_tags_add_the_sum_of_their_numbers_over_the_root_of_their_count(offsets: ValueOffsets) -> None:
    # First request: user 1, liked (1 + 2 + 3 + 4) / 2 = 5 times 10 and 1; so 10 + 50 and factor 1 + 5.
    # Second: unknown user, liked 1: 10 and factor 1. Items 1 and 2 have 10, 20 and factors 2, 4.
    expected = [[60 + 10 + 6 * 2, 60], [10 + 20 + 1 * 4, 10 + 10 + 1 * 2]]

    assert offsets(STATIC, CANDIDATES)[..., 0].tolist() == expected


def test_squares_are_those_of_all_numbers_that_are_added(offsets: ValueOffsets) -> None:
    # User 1: 10² + 1²; liked: 50² + 5² and 10² + 1²; items 1 and 2: 10² + 2², 20² + 4².
    expected = [[101 + 2525 + 104, 101 + 2525], [101 + 416, 101 + 104]]

    assert offsets.squares(STATIC, CANDIDATES).tolist() == expected


def test_without_fields_of_the_candidates_all_get_the_same(offsets: ValueOffsets) -> None:
    alone = ValueOffsets(SIZES, ("user_id",), factors=1).requires_grad_(False)
    alone.static[0].weight[:] = offsets.static[0].weight

    assert alone(STATIC, CANDIDATES)[..., 0].tolist() == [[10, 10], [0, 0]]
    assert alone.squares(STATIC, CANDIDATES).tolist() == [[101], [0]]


def test_a_user_of_whom_nothing_was_learned_adds_nothing() -> None:
    fresh = ValueOffsets(SIZES, NAMES, factors=8)

    assert fresh(STATIC, CANDIDATES).abs().max() == 0
    assert fresh.candidate[0].weight[:, 1:].std() > 0.05
