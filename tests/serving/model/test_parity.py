import pytest
import torch

from degre_pipeline.reranker.models.stored_models import restore_decoding, restore_generator
from degre_pipeline.reranker.requests import Requests
from degre_pipeline.serving.model.parity import check_parity, differing_shapes
from degre_pipeline.serving.model.program import export_program
from degre_pipeline.serving.model.runners import EagerRunner


@pytest.fixture
def some(shop):
    return shop.encoded.select(slice(0, 3))


@pytest.fixture
def trained_lists(shop, some):
    model = restore_generator(shop.generator)
    return model.greedy_decode(some.static, some.candidates, some.mask)[0].tolist()


def test_equal_lists_pass(shop, some, trained_lists):
    check_parity(trained_lists, some, shop.generator)


@pytest.mark.parametrize("change", [lambda own: own[::-1], lambda own: own[:-1]])
def test_first_differing_list_is_named(shop, some, trained_lists, change):
    served = [trained_lists[0], change(trained_lists[1]), change(trained_lists[2])]
    with pytest.raises(ValueError, match=f"request {some.request_id[1]}: the served model ranks candidates"):
        check_parity(served, some, shop.generator)


def test_equally_probable_candidates_may_change_places(shop, some, trained_lists):
    first, other = trained_lists[0][0], next(index for index in range(8) if index not in trained_lists[0])
    twins = some.candidates.clone()
    twins[0, other] = twins[0, first]
    alike = Requests(**{**vars(some), "candidates": twins})
    model = restore_generator(shop.generator)
    wanted = model.greedy_decode(alike.static, alike.candidates, alike.mask)[0].tolist()
    swap = {first: other, other: first}
    swapped = [[swap.get(index, index) for index in wanted[0]], *wanted[1:]]
    assert swapped != wanted
    check_parity(swapped, alike, shop.generator)


def test_the_exported_program_gives_the_same_lists_in_every_shape(shop, some):
    runner = EagerRunner(export_program(shop.generator, 128))
    assert differing_shapes(runner, some, shop.generator, 128) == []


@pytest.mark.parametrize("wrong_from", [1, 6, 41])
def test_a_program_that_is_right_for_some_shapes_only_is_found(shop, some, wrong_from):
    """It ranks requests of so many candidates in their given order."""

    class Partial:
        def decode(self, static, candidates, mask):
            lists, steps = restore_decoding(shop.generator).decode(static, candidates, mask)
            if mask.shape[1] < wrong_from:
                return lists, steps
            given = torch.arange(4).expand_as(lists)
            return given.masked_fill(lists < 0, -1), steps

    found = differing_shapes(Partial(), some, shop.generator, 128)
    assert found
    assert all(n >= wrong_from for _, n in found)
    assert (1, 128) in found
