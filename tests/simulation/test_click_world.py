"""The click world against arithmetic written out."""

import numpy as np
import pytest
from safetensors.torch import load, save

from degre_pipeline.simulation.click_counts import cumulative_click_probabilities
from degre_pipeline.simulation.click_world import WORLDS, Behaviour, ClickTruth, World, concatenate_truths


def sigmoid(logit: float) -> float:
    return 1.0 / (1.0 + np.exp(-logit))


def two_requests(**changes: object) -> ClickTruth:
    """Request 20 lacks its last candidate; category 1 is wanted more after category 0."""
    fields: dict[str, object] = {
        "request_id": np.array([10, 20]),
        "stand_alone_logits": np.array([[0.5, -0.5, 1.0, 0.0], [0.2, 0.3, -1.0, -np.inf]], dtype=np.float32),
        "categories": np.array([[0, 0, 1, 2], [1, 1, 1, -1]]),
        "complement_of": np.array([-1, 0, -1]),
        "satiation": 0.9,
        "complement_bonus": 0.8,
        "slot_penalty": 0.1,
    }
    return ClickTruth(**(fields | changes))  # type: ignore[arg-type]


def test_click_probabilities_by_hand() -> None:
    sequences = np.array([[[0, 1, 2], [2, 0, 3]], [[2, 0, 1], [1, -1, -1]]])
    probabilities = two_requests().click_probabilities(sequences)
    expected = [
        [
            [sigmoid(0.5), sigmoid(-0.5 - 0.1 - 0.9), sigmoid(1.0 - 0.2 + 0.8)],
            [sigmoid(1.0), sigmoid(0.5 - 0.1), sigmoid(0.0 - 0.2)],
        ],
        [
            [sigmoid(-1.0), sigmoid(0.2 - 0.1 - 0.9), sigmoid(0.3 - 0.2 - 1.8)],
            [sigmoid(0.3), 0.0, 0.0],
        ],
    ]
    np.testing.assert_allclose(probabilities, expected, atol=1e-7)


def test_on_a_page_all_other_items_are_company() -> None:
    page = two_requests(world="page").click_probabilities(np.array([[[0, 1, 2], [2, 0, 3]], [[2, 0, 1]] * 2]))
    expected = [
        [sigmoid(0.5 - 0.9), sigmoid(-0.5 - 0.1 - 0.9), sigmoid(1.0 - 0.2 + 0.8)],
        [sigmoid(1.0 + 0.8), sigmoid(0.5 - 0.1), sigmoid(0.0 - 0.2)],
    ]
    np.testing.assert_allclose(page[0], expected, atol=1e-7)
    alike = [sigmoid(-1.0 - 1.8), sigmoid(0.2 - 0.1 - 1.8), sigmoid(0.3 - 0.2 - 1.8)]
    np.testing.assert_allclose(page[1, 0], alike, atol=1e-7)


def test_who_leaves_clicks_no_more() -> None:
    truth = two_requests(world="leaving", patience=1.0, interest=2.0)
    lists = np.array([[[0, 1, 2]], [[1, -1, -1]]])
    logits = [0.5, -0.5 - 0.1 - 0.9, 1.0 - 0.2 + 0.8]
    stays = [sigmoid(1.0 + 2.0 * logit) for logit in logits]
    clicked = [sigmoid(logits[0]), stays[0] * sigmoid(logits[1]), stays[0] * stays[1] * sigmoid(logits[2])]
    np.testing.assert_allclose(truth.click_probabilities(lists)[0, 0], clicked, atol=1e-7)
    np.testing.assert_allclose(truth.utility(lists)[:, 0], [sum(clicked), sigmoid(0.3)], atol=1e-7)
    behaviour = truth.behaviour(lists)
    np.testing.assert_allclose(behaviour.goes_on[0, 0], stays, atol=1e-7)
    np.testing.assert_array_equal(behaviour.goes_on[1, 0, 1:], 0.0)


def test_clicks_happen_by_luck_until_the_user_leaves() -> None:
    truth = two_requests(world="leaving", patience=0.0, interest=0.0)  # half of the users leave at every slot
    lists = np.array([[0, 1, 2], [1, 0, -1]])
    luck = np.zeros((2, 3))
    stays, leaves = np.full((2, 3), 0.4), np.array([[0.4, 0.6, 0.4], [0.6, 0.4, 0.4]])
    np.testing.assert_array_equal(truth.clicks(lists, luck, stays), [[1, 1, 1], [1, 1, 0]])
    np.testing.assert_array_equal(truth.clicks(lists, luck, leaves), [[1, 1, 0], [1, 0, 0]])
    assert not truth.clicks(lists, luck + 0.999, stays).any()


def test_the_bonus_is_earned_once() -> None:
    probabilities = two_requests().click_probabilities(np.array([[[0, 1, 2]], [[0, 1, 2]]]))
    assert probabilities[0, 0, 2] == pytest.approx(sigmoid(1.0 - 0.2 + 0.8), abs=1e-7)


@pytest.mark.parametrize("world", WORLDS)
def test_utility_is_the_sum_of_the_slots_in_small_and_large_chunks(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    sequences = np.array([[[0, 1, 2], [2, 0, -1]], [[2, 0, 1], [1, -1, -1]]])
    truth = two_requests(world=world, patience=1.0)
    whole = truth.utility(sequences)
    monkeypatch.setattr("degre_pipeline.simulation.click_world._LISTS_PER_CHUNK", 1)
    np.testing.assert_array_equal(truth.utility(sequences), whole)
    np.testing.assert_allclose(whole, truth.click_probabilities(sequences).sum(axis=2))


@pytest.mark.parametrize(
    ("sequences", "message"),
    [
        ([[[0, 1]]], r"shape \(1, 1, 2\); allowed is \(2, lists"),
        ([[[0, 4]], [[0, 1]]], "indices 0 to 4; allowed are -1 to 3"),
        ([[[0, 1]], [[-1, 1]]], "allowed only at the end"),
        ([[[0, 1]], [[1, 1]]], "candidate 1 of request 20 twice"),
        ([[[0, 3]], [[0, 3]]], "candidate 3 of request 20 .* where there is none"),
    ],
)
def test_wrong_sequences_are_named(sequences: list[list[list[int]]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        two_requests().click_probabilities(np.array(sequences))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"request_id": np.array([1, 1])}, "unique"),
        ({"request_id": np.array([1, 2, 3])}, "disagree"),
        ({"complement_of": np.array([-1, 5, -1])}, "complement_of holds -1 to 5; allowed are -1 to 2"),
        ({"categories": np.array([[0, 0, 1, 3], [1, 1, 1, -1]])}, "categories holds -1 to 3"),
        ({"categories": np.array([[0, 0, 1, 2], [1, 1, 1, 1]])}, "minus infinity exactly where"),
    ],
)
def test_inconsistent_fields_are_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        two_requests(**changes)


def test_select_keeps_the_order_asked_for_and_names_unknown_ids() -> None:
    truth = two_requests()
    chosen = truth.select([20, 10])
    np.testing.assert_array_equal(chosen.request_id, [20, 10])
    np.testing.assert_array_equal(chosen.categories, truth.categories[::-1])
    np.testing.assert_array_equal(chosen.stand_alone_logits, truth.stand_alone_logits[::-1])
    with pytest.raises(ValueError, match=r"2 unknown ids, the first \[5, 30\]"):
        truth.select([10, 5, 30])


def test_tensors_survive_safetensors() -> None:
    truth = two_requests(world="leaving", patience=1.0, interest=0.5)
    back = ClickTruth.from_tensors(load(save(truth.to_tensors())))
    for name, value in vars(truth).items():
        np.testing.assert_array_equal(getattr(back, name), value)
        assert np.asarray(getattr(back, name)).dtype == np.asarray(value).dtype


def test_a_truth_stored_before_there_were_worlds_is_of_the_shop() -> None:
    tensors = two_requests().to_tensors()
    for name in ("world", "patience", "interest"):
        del tensors[name]
    assert ClickTruth.from_tensors(tensors).world == "shop"


def test_an_unknown_world_is_named() -> None:
    with pytest.raises(ValueError, match="world is 'moon'; allowed are shop, page, leaving"):
        two_requests(world="moon")


def test_missing_tensor_is_named() -> None:
    tensors = two_requests().to_tensors()
    del tensors["satiation"]
    with pytest.raises(ValueError, match=r"exactly .*'satiation'"):
        ClickTruth.from_tensors(tensors)


def test_truths_are_joined_only_when_they_agree() -> None:
    first, second = two_requests(), two_requests(request_id=np.array([30, 40]))
    np.testing.assert_array_equal(concatenate_truths([first, second]).request_id, [10, 20, 30, 40])
    with pytest.raises(ValueError, match="differ in satiation"):
        concatenate_truths([first, two_requests(request_id=np.array([30, 40]), satiation=0.5)])
    with pytest.raises(ValueError, match="differ in world: shop and page"):
        concatenate_truths([first, two_requests(request_id=np.array([30, 40]), world="page")])


def test_cumulative_click_probabilities_by_hand() -> None:
    clicked = np.array([0.5, 0.2, 0.0])
    at_least = cumulative_click_probabilities(Behaviour(clicked, np.ones(3)))
    np.testing.assert_allclose(at_least, [[0.5, 0, 0], [0.6, 0.1, 0], [0.6, 0.1, 0]])
    # Half of those who look at the first slot look at the second one, too: 0.5 * 0.5 * 0.2 click twice.
    at_least = cumulative_click_probabilities(Behaviour(clicked, np.array([0.5, 1.0, 1.0])))
    np.testing.assert_allclose(at_least, [[0.5, 0, 0], [0.55, 0.05, 0], [0.55, 0.05, 0]])
