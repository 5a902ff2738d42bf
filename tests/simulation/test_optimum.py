"""The exact optimum against trying every list."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

from degre_pipeline.simulation.click_world import WORLDS, ClickTruth, World
from degre_pipeline.simulation.optimum import best_lists


def random_truth(
    requests: int = 8, candidates: int = 6, missing: int = 0, world: World = "shop"
) -> ClickTruth:
    rng = np.random.default_rng(3)
    logits = rng.normal(-0.5, 1.0, (requests, candidates)).astype(np.float32)
    categories = rng.integers(3, size=logits.shape)
    logits[0, candidates - missing :] = -np.inf
    categories[0, candidates - missing :] = -1
    complements = np.array([-1, 0, 1])
    return ClickTruth(np.arange(requests), logits, categories, complements, 1.0, 1.2, 0.1, world, 0.5, 1.5)


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("list_length", [1, 3, 6])
@pytest.mark.parametrize("discounted", [False, True])
def test_best_lists_equal_brute_force(world: World, list_length: int, discounted: bool) -> None:
    truth = random_truth(world=world)
    discount = 1.0 / np.log2(np.arange(list_length) + 2) if discounted else None
    weights = np.ones(list_length) if discount is None else discount
    every = np.array(list(permutations(range(6), list_length)))
    values = truth.click_probabilities(np.tile(every, (8, 1, 1))) @ weights
    sequences, best = best_lists(truth, list_length, discount)
    np.testing.assert_allclose(best, values.max(axis=1), rtol=1e-12)
    np.testing.assert_allclose(
        truth.click_probabilities(sequences[:, None])[:, 0] @ weights, best, rtol=1e-12
    )


def test_order_matters_in_the_best_list() -> None:
    """The complement must stand first, although the other item is better alone."""
    truth = ClickTruth(
        np.array([1]),
        np.array([[1.0, 0.9]], dtype=np.float32),
        np.array([[1, 0]]),
        np.array([-1, 0]),
        1.0,
        1.0,
        0.0,
    )
    np.testing.assert_array_equal(best_lists(truth, 2)[0], [[1, 0]])


@pytest.mark.parametrize("world", WORLDS)
def test_missing_candidates_shorten_the_list(world: World) -> None:
    truth = random_truth(missing=4, world=world)
    sequences, best = best_lists(truth, 3)
    assert sorted(sequences[0, :2]) == [0, 1]
    assert sequences[0, 2] == -1
    assert (sequences[1:] >= 0).all()
    np.testing.assert_allclose(truth.utility(sequences[:, None])[:, 0], best, rtol=1e-12)


@pytest.mark.parametrize("world", WORLDS)
def test_a_request_without_candidates_gets_an_empty_list(world: World) -> None:
    sequences, best = best_lists(random_truth(missing=6, world=world), 3)
    np.testing.assert_array_equal(sequences[0], [-1, -1, -1])
    assert best[0] == 0.0


@pytest.mark.parametrize("world", WORLDS)
def test_chunks_change_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = best_lists(random_truth(world=world), 3)
    monkeypatch.setattr("degre_pipeline.simulation.optimum._TRANSITIONS_PER_CHUNK", 1)
    for ours, theirs in zip(best_lists(random_truth(world=world), 3), whole, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_who_may_leave_is_shown_first_what_makes_them_stay() -> None:
    """Both orders earn the same clicks from users who look at everything; here the first item decides."""
    logits = np.array([[-1.0, 0.5]], dtype=np.float32)
    shop = ClickTruth(np.array([1]), logits, np.array([[0, 1]]), np.array([-1, -1]), 1.0, 1.0, 0.0)
    leaving = replace(shop, world="leaving", patience=0.0, interest=4.0)
    np.testing.assert_array_equal(best_lists(shop, 2)[0], [[0, 1]])
    np.testing.assert_array_equal(best_lists(leaving, 2)[0], [[1, 0]])


def test_a_page_with_too_many_orders_is_refused() -> None:
    with pytest.raises(ValueError, match="lists of 10 of 20 candidates have 189190144 subsets"):
        best_lists(random_truth(candidates=20, world="page"), 10)


@pytest.mark.parametrize(
    ("candidates", "list_length", "discount", "message"),
    [
        (21, 2, None, "21 candidates a request; allowed are at most 20"),
        (6, 7, None, "list_length is 7; allowed are 1 to 6"),
        (6, 2, [1.0], r"discount is \[1.0\]; allowed are 2"),
        (6, 2, [1.0, -0.5], "non-negative"),
    ],
)
def test_wrong_arguments_are_named(
    candidates: int, list_length: int, discount: list[float] | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        best_lists(random_truth(candidates=candidates), list_length, discount)  # type: ignore[arg-type]
