"""Dense supervision: soft labels and sequence weights from the values that the search stored."""

import torch
from torch import Tensor


def soft_labels(step_values: Tensor, temperature: float = 1.0) -> Tensor:
    """Distribution over the remaining candidates at every step of every mined sequence.

    Args:
        step_values: Value of each one-item extension, [b, k, t, n]; -inf for what could not be chosen.
        temperature: tau_q; 1 is the paper's.
    Returns: q_t, [b, k, t, n]; all zero at steps where nothing could be chosen.
    Source: DeGRe (arXiv 2605.25749), Eq. 9.
    """
    possible = step_values.isfinite().any(-1, keepdim=True)
    safe = torch.where(possible, step_values, torch.zeros_like(step_values))
    return torch.where(possible, (safe / temperature).softmax(-1), torch.zeros_like(safe))


def sequence_weights(values: Tensor, temperature: float) -> Tensor:
    """Weight B w_l of every sequence of a request; their mean is one.

    Args:
        values: Value of each sequence, [b, k]; -inf where a request has fewer sequences.
        temperature: tau_w.
    Returns: [b, k].
    Source: DeGRe (arXiv 2605.25749), Eq. 10, times B.
    """
    return (values / temperature).softmax(-1) * values.shape[-1]
