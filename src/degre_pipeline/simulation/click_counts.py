"""The true distribution of how many clicks the first slots of a list get."""

import numpy as np

from degre_pipeline.simulation.click_world import Behaviour, FloatArray


def cumulative_click_probabilities(behaviour: Behaviour) -> FloatArray:
    """Probability that the first t slots get at least k clicks: what a perfect evaluator would predict.

    Args:
        behaviour: What a user does who looks at a slot, fields [..., t]; clicks do not depend on one another.
    Returns: [..., t, k] for k = 1 .. t; 0 where k exceeds the number of slots.
    """
    length = behaviour.clicked.shape[-1]
    looking = np.zeros((*behaviour.clicked.shape[:-1], length + 1))  # exactly k clicks so far, and going on
    looking[..., 0] = 1.0
    left = np.zeros_like(looking)  # exactly k clicks, and no more to come
    at_least = np.zeros((*behaviour.clicked.shape, length))
    for slot in range(length):
        clicked, goes_on = behaviour.clicked[..., slot, None], behaviour.goes_on[..., slot, None]
        one_more = np.concatenate([np.zeros_like(clicked), looking[..., :-1]], axis=-1)
        looking = (1.0 - clicked) * looking + clicked * one_more
        at_least[..., slot, :] = (looking + left)[..., ::-1].cumsum(axis=-1)[..., ::-1][..., 1:]
        looking, left = goes_on * looking, left + (1.0 - goes_on) * looking
    return at_least
