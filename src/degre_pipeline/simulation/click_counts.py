"""The true distribution of how many clicks the first slots of a list get."""

import numpy as np

from degre_pipeline.simulation.click_world import FloatArray


def cumulative_click_probabilities(click_probabilities: FloatArray) -> FloatArray:
    """Probability that the first t slots get at least k clicks: what a perfect evaluator would predict.

    Args:
        click_probabilities: Independent click probability of every slot, [..., t].
    Returns: [..., t, k] for k = 1 .. t; 0 where k exceeds the number of slots.
    """
    length = click_probabilities.shape[-1]
    exactly = np.zeros((*click_probabilities.shape[:-1], length + 1))
    exactly[..., 0] = 1.0
    at_least = np.zeros((*click_probabilities.shape, length))
    for slot in range(length):
        clicked = click_probabilities[..., slot, None]
        one_more = np.concatenate([np.zeros_like(clicked), exactly[..., :-1]], axis=-1)
        exactly = (1.0 - clicked) * exactly + clicked * one_more
        at_least[..., slot, :] = exactly[..., ::-1].cumsum(axis=-1)[..., ::-1][..., 1:]
    return at_least
