import pytest

from degre_pipeline.reranker.batching import Requests
from degre_pipeline.reranker.models.builders import restore_generator
from degre_pipeline.serving.parity import check_parity


@pytest.fixture
def some(shop):
    return Requests.from_tensors(shop.request_tensors).select(slice(0, 3))


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
