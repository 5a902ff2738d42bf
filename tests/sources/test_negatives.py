import numpy as np
import pytest

from degre_pipeline.sources.negatives import sample_negatives


def draw(met: np.ndarray, weights: list[float], count: int, requests: int, seed: int = 0) -> np.ndarray:
    owner = np.zeros(requests, dtype=np.int64)
    return sample_negatives(met, owner, np.array(weights), count, np.random.default_rng(seed))


def test_negatives_are_new_to_the_user_differ_and_have_weight() -> None:
    met = np.array([[True, False, False, False, False, False]])

    drawn = draw(met, [9.0, 1.0, 1.0, 0.0, 2.0, 0.0], count=3, requests=50)

    assert (np.sort(drawn, axis=1) == [1, 2, 4]).all()


def test_first_draw_is_proportional_to_the_weight_among_allowed_items() -> None:
    met = np.array([[False, True, False, False]])

    drawn = draw(met, [1.0, 50.0, 3.0, 0.0], count=1, requests=20_000)

    # 3 / (1 + 3); five standard errors are 0.015.
    assert (drawn == 2).mean() == pytest.approx(0.75, abs=0.015)


def test_second_draw_is_proportional_among_the_rest() -> None:
    met = np.zeros((1, 3), dtype=np.bool_)

    drawn = draw(met, [1.0, 1.0, 2.0], count=2, requests=20_000)

    # Item 2 first (1/2), or second after one of the others (1/2 * 2/3).
    assert (drawn == 2).any(axis=1).mean() == pytest.approx(5 / 6, abs=0.015)


def test_the_seed_decides() -> None:
    met = np.zeros((1, 30), dtype=np.bool_)

    assert (draw(met, [1.0] * 30, 5, 20, seed=3) == draw(met, [1.0] * 30, 5, 20, seed=3)).all()
    assert (draw(met, [1.0] * 30, 5, 20, seed=3) != draw(met, [1.0] * 30, 5, 20, seed=4)).any()


def test_too_few_items_are_reported() -> None:
    met = np.array([[True, False, False, False]])

    with pytest.raises(ValueError, match=r"needs 3 items.*one user has only 2 of the 3 items"):
        draw(met, [1.0, 1.0, 1.0, 0.0], count=3, requests=2)


def test_nothing_to_draw() -> None:
    assert draw(np.ones((1, 2), dtype=np.bool_), [1.0, 1.0], count=0, requests=4).shape == (4, 0)
