"""The objectives of evaluators and generators."""

import torch
from torch import Tensor
from torch.nn import functional


def cumulative_regression_loss(logits: Tensor, cumulative_clicks: Tensor, mask: Tensor) -> Tensor:
    """Ordered binary cross-entropy of the cumulative value at every filled slot.

    Args:
        logits: O[b, t, k], the logit that the value of the first t items reaches k.
        cumulative_clicks: Clicks among the first t items, [b, t], a count.
        mask: True for real slots, [b, t]; a list without any is left out of the mean.
    Returns: Mean over lists, in nats.
    Raises: ValueError: If shapes differ.
    Source: DeGRe (arXiv 2605.25749), Eq. 8. Differs: read as a positive cross-entropy; divides by the
        real list length; a mean over lists instead of a sum.
    """
    if logits.shape[:2] != cumulative_clicks.shape or mask.shape != cumulative_clicks.shape:
        raise ValueError(
            f"shapes differ: logits {tuple(logits.shape)}, mask {tuple(mask.shape)}, cumulative_clicks "
            f"{tuple(cumulative_clicks.shape)}; allowed: [b, t, L], [b, t], [b, t]"
        )
    slots, levels = logits.shape[1:]
    level = torch.arange(1, levels + 1, device=logits.device)
    target = (cumulative_clicks[..., None] >= level).to(logits.dtype)
    reachable = level <= torch.arange(1, slots + 1, device=logits.device)[:, None]
    terms = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    by_slot = (terms * reachable).sum(-1) * mask
    real = mask.sum(1)
    return _mean_over_lists(by_slot.sum(1), real)


def slot_click_loss(logits: Tensor, clicks: Tensor, mask: Tensor) -> Tensor:
    """Binary cross-entropy of the click of every filled slot.

    Args:
        logits: Of a click at each slot given the list up to it, [b, t].
        clicks: 1 for a clicked slot, [b, t].
        mask: True for real slots, [b, t]; a list without any is left out of the mean.
    Returns: Mean over lists of the mean over their slots, in nats.
    """
    return _mean_over_lists(slot_click_surprise(logits, clicks, mask), mask.sum(1))


def hindsight_click_loss(logits: Tensor, clicks: Tensor, mask: Tensor) -> Tensor:
    """Binary cross-entropy of the click of every filled slot, as seen from it and from every one below.

    Args:
        logits: O[b, t, s], of a click at slot s given the list up to slot t; those with s > t are not read.
        clicks: 1 for a clicked slot, [b, t].
        mask: True for real slots, [b, t]; a list without any is left out of the mean.
    Returns: Mean over lists of the mean over their pairs of slots s <= t, in nats.
    """
    slots = clicks.shape[1]
    target = clicks.to(logits.dtype)[:, None, :].expand(-1, slots, -1)
    terms = functional.binary_cross_entropy_with_logits(logits[..., :slots], target, reduction="none")
    seen = torch.ones(slots, slots, dtype=torch.bool, device=logits.device).tril() & mask[:, :, None]
    return _mean_over_lists((terms * seen).sum((1, 2)), seen.sum((1, 2)))


def survival_click_loss(logits: Tensor, clicks: Tensor, mask: Tensor) -> Tensor:
    """Surprise of the clicks of a list whose users may leave it after any slot; see `survival_surprise`.

    Returns: Mean over lists of -log P(clicks) over the number of their slots, in nats.
    """
    return _mean_over_lists(survival_surprise(logits, clicks, mask), mask.sum(1))


def imitation_loss(logits: Tensor, probabilities: Tensor, mask: Tensor) -> Tensor:
    """Binary cross-entropy of every prediction of a head against probabilities that another one predicted.

    Args:
        logits: O[b, t, c], of a head; where it has a column a slot, c = L, those after t are not read.
        probabilities: What they should be, [b, t, c].
        mask: True for real slots, [b, t]; a list without any is left out of the mean.
    Returns: Mean over lists of the mean over their predictions, in nats.
    Source: Hinton, Vinyals and Dean 2015 (arXiv 1503.02531), at a temperature of 1.
    """
    slots, columns = logits.shape[1:]
    read = mask[..., None].expand_as(logits)
    if columns > 2 or columns == slots:
        read = read & torch.ones(slots, columns, dtype=torch.bool, device=logits.device).tril()
    terms = functional.binary_cross_entropy_with_logits(logits, probabilities, reduction="none")
    return _mean_over_lists((terms * read).sum((1, 2)), read.sum((1, 2)))


def slot_click_surprise(logits: Tensor, clicks: Tensor, mask: Tensor) -> Tensor:
    """Returns -log P(clicks) of every list, [b], in nats, of clicks that are independent given the list.

    Args: As of `slot_click_loss`.
    """
    terms = functional.binary_cross_entropy_with_logits(logits, clicks.to(logits.dtype), reduction="none")
    return (terms * mask).sum(1)


def survival_surprise(logits: Tensor, clicks: Tensor, mask: Tensor) -> Tensor:
    """Returns -log P(clicks) of every list, [b], whose users may leave it after any slot, unobserved.

    Backwards, the chance of what happened from slot t on, given that it is looked at, is the chance of its
    click or of none, times: going on and what happened from t + 1 on, plus leaving where no click follows.

    Args:
        logits: [b, t, 2]: of a click at slot t by who looks at it, and of looking at the next slot, too.
        clicks: 1 for a clicked slot, [b, t].
        mask: True for real slots, all at the front, [b, t]; a list without any has a surprise of 0.
    """
    clicked, goes_on = logits.unbind(-1)
    happened = torch.where(clicks > 0, functional.logsigmoid(clicked), functional.logsigmoid(-clicked))
    stays, leaves = functional.logsigmoid(goes_on), functional.logsigmoid(-goes_on)
    clicks_follow = (clicks * mask).flip(1).cumsum(1).flip(1) - clicks * mask > 0
    rest = torch.zeros_like(clicked[:, 0])
    for slot in reversed(range(clicks.shape[1])):
        later = stays[:, slot] + rest
        later = torch.where(clicks_follow[:, slot], later, torch.logaddexp(leaves[:, slot], later))
        filled_next = mask[:, slot + 1] if slot + 1 < clicks.shape[1] else torch.zeros_like(mask[:, 0])
        rest = torch.where(mask[:, slot], happened[:, slot] + torch.where(filled_next, later, 0.0), 0.0)
    return -rest


def _mean_over_lists(sums: Tensor, terms: Tensor) -> Tensor:
    """Returns the mean over lists with a term of each list's mean, of its sum [b] and number of terms [b]."""
    return (sums / terms.clamp(min=1)).sum() / (terms > 0).sum().clamp(min=1)


def hybrid_distillation_loss(
    log_probabilities: Tensor,
    hard_labels: Tensor,
    soft_labels: Tensor,
    sequence_weights: Tensor,
    *,
    soft_label_weight: float,
    use_hard_labels: bool = True,
) -> Tensor:
    """Weighted imitation of mined sequences plus alignment with the value of every alternative.

    Args:
        log_probabilities: log P of every candidate at every step, [b, k, t, n]; -inf where not selectable.
        hard_labels: What should be chosen at every step, [b, k, t]; negative where a list is shorter.
        soft_labels: q_t over the remaining candidates, [b, k, t, n]; 0 where not selectable.
        sequence_weights: B w_l, [b, k], mean one over the sequences of a request.
        soft_label_weight: alpha.
        use_hard_labels: Off leaves the soft labels alone.
    Returns: Mean over requests of the sum over sequences divided by their number, in nats a list.
    Source: DeGRe (arXiv 2605.25749), Eq. 13. Differs: divided by B, so that the rate need not change with B.
    """
    real = hard_labels >= 0
    selectable = log_probabilities.isfinite()
    finite = log_probabilities.masked_fill(~selectable, 0.0)
    step = log_probabilities.new_zeros(hard_labels.shape)
    if use_hard_labels:
        step = -finite.gather(-1, hard_labels.clamp(min=0).unsqueeze(-1)).squeeze(-1)
    if soft_label_weight > 0:
        divergence = torch.special.xlogy(soft_labels, soft_labels) - soft_labels * finite
        step = step + soft_label_weight * (divergence * selectable).sum(-1)
    by_sequence = (step * real).sum(-1)
    return (sequence_weights * by_sequence).mean()
