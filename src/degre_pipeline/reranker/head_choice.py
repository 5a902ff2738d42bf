"""Chooses the head of the evaluators by data: does what stands below a slot change its click?"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from degre_pipeline.reranker.metrics import Estimate, bootstrap
from degre_pipeline.reranker.models.evaluator import LookaheadEvaluator
from degre_pipeline.reranker.models.model_config import LEFT_OPEN, EvaluatorConfig, EvaluatorHead
from degre_pipeline.reranker.models.stored_models import TrainedWeights, restore_evaluator
from degre_pipeline.reranker.requests import Requests, gather_candidates
from degre_pipeline.reranker.search.valuation import list_values
from degre_pipeline.reranker.training.training_state import History

HeadRow = dict[str, Any]
Train = Callable[[EvaluatorConfig], tuple[TrainedWeights, History]]
"""Trains the evaluator that settings describe."""

FIRST: EvaluatorHead = "slot_clicks"
"""The head that is trained where slots vary, and kept unless whole lists contradict it."""

THAT_SEE_BELOW: tuple[EvaluatorHead, ...] = ("hindsight", "cumulative")
"""Heads that know the whole list when they value its first slots."""

MOST_LISTS = 60_000
"""Lists from which it is learned what the sum over slots misses."""

HIDDEN, RIDGE = 256, 100.0
"""Random features of a list, and what keeps their weights small; both matter little."""


def train_by_data(
    train: Train, learn: Requests, check: Requests, config: EvaluatorConfig, *, varied: bool
) -> tuple[TrainedWeights, History, list[HeadRow]]:
    """Trains an evaluator whose head the settings may leave open, and says why it has the head that it has.

    `by_data` trains the click of each slot given what stands above it. If the last row of that evaluator,
    which has seen the whole list, foretells the list's clicks better than the sum over its slots does, then
    what stands below a slot matters. Only then the heads that see below are trained, too, and the one whose
    values are closest to the clicks of held-out lists is taken.

    Args:
        train: Trains the evaluator of given settings.
        learn: Requests whose exposed lists it learns from.
        check: Requests on whose exposed lists heads are compared.
        config: Of the evaluator.
        varied: Whether slots vary in the whole log, see `support.varies`; else items' appeal is learned.
    Returns: The evaluator, its history, and rows of head, chosen, reason and, where heads were compared,
        error, the mean squared error of the clicks of a list; none where the settings name a head. The row of
        `slot_clicks` also has what its last rows would take from its error, `seen_below`, `low` and `high`.
    """
    if config.head not in LEFT_OPEN:
        return *train(config), []
    if not varied:
        reason = "slots follow the score, and their effects are not told apart"
        return *train(replace(config, head="appeal")), [_row("appeal", reason)]
    weights, history = train(replace(config, head=FIRST))
    if config.head == "by_support":
        return weights, history, [_row(FIRST, "slots vary; no other head was tried")]
    evaluator = restore_evaluator(weights).members[0]
    assert isinstance(evaluator, LookaheadEvaluator)
    below = seen_below(evaluator, learn, check)
    error = float(squared_errors(weights, check).mean())
    if below.high >= 0:
        reason = "whole lists say nothing certain that the sum over slots does not"
        return weights, history, [_row(FIRST, reason, error=error, below=below)]
    tried = {FIRST: (weights, history, error)}
    for head in THAT_SEE_BELOW:
        other, steps = train(replace(config, head=head))
        tried[head] = other, steps, float(squared_errors(other, check).mean())
    best = min(tried, key=lambda head: tried[head][2])
    reason = "what stands below a slot changes its click; least error of whole lists"
    rows = [
        _row(head, reason if head == best else "", error=found[2], below=below if head == FIRST else None)
        for head, found in tried.items()
    ]
    return tried[best][0], tried[best][1], rows


def with_head(config: EvaluatorConfig, rows: Sequence[HeadRow]) -> EvaluatorConfig:
    """Returns the evaluators' settings with the head that was chosen, where they leave it open."""
    return replace(config, head=next(row["head"] for row in rows if row["chosen"])) if rows else config


@torch.no_grad()
def seen_below(evaluator: LookaheadEvaluator, learn: Requests, check: Requests) -> Estimate:
    """Returns what an evaluator's last rows take from the squared error of its values of held-out lists.

    A ridge regression on random features of the last row and of the mean row learns, from lists that the
    evaluator learned from, the clicks of a list beyond the value that the evaluator gives it.

    Args:
        evaluator: Of the click of each slot, in eval mode, on the CPU.
        learn: Requests that it learned from.
        check: Requests that it did not learn from.
    Returns: The mean change of the squared error over the lists of `check`, in squared clicks, with its 95%
        interval; below zero where whole lists say more than the sum over their slots.
    Source: random features, Rahimi and Recht, NIPS 2007. The test is ours.
    """
    square, products = torch.zeros(()), torch.zeros(())
    for known, missed in _features(evaluator, learn.select(slice(0, MOST_LISTS))):
        square, products = square + known.T @ known, products + known.T @ missed
    weights = torch.linalg.solve(square + RIDGE * torch.eye(len(square)), products)
    changes = [
        (missed - known @ weights).square() - missed.square() for known, missed in _features(evaluator, check)
    ]
    return bootstrap(torch.cat(changes).numpy())


@torch.no_grad()
def squared_errors(trained: TrainedWeights, requests: Requests) -> Tensor:
    """Returns the squared error of a stored evaluator's values of exposed lists, in squared clicks, [b]."""
    evaluator = restore_evaluator(trained)
    values = [list_values(evaluator, batch, batch.shown[:, None])[:, 0] for batch in requests.batches(1024)]
    return (_clicks(requests) - torch.cat(values).double()).square()


def _features(evaluator: LookaheadEvaluator, requests: Requests) -> Iterator[tuple[Tensor, Tensor]]:
    """Yields features of exposed lists, [c, f], and their clicks beyond the evaluator's value, [c]."""
    width = evaluator.norm.normalized_shape[0]
    draw = torch.Generator().manual_seed(0)
    mixed = torch.randn(2 * width, HIDDEN, generator=draw, dtype=torch.float64) / (2 * width) ** 0.5
    for batch in requests.batches(1024):
        vectors = evaluator.project(batch.static, gather_candidates(batch.candidates, batch.exposed))
        encoded, offsets = evaluator.encoded(vectors, None)
        value = (evaluator.head_logits(encoded, offsets)[..., 0].sigmoid() * batch.exposed_mask).sum(1)
        rows = evaluator.norm(encoded) * batch.exposed_mask[..., None]
        last = (batch.exposed_mask.sum(1) - 1).clamp(min=0)
        mean = rows.sum(1) / (last[:, None] + 1)
        seen = torch.cat([rows[torch.arange(len(batch)), last], mean], -1).double()
        known = torch.cat([seen, (seen @ mixed).relu(), torch.ones_like(seen[:, :1])], -1)
        yield known, _clicks(batch) - value.double()


def _clicks(requests: Requests) -> Tensor:
    return (requests.clicks * requests.exposed_mask).sum(1).double()


def _row(head: str, reason: str, *, error: float | None = None, below: Estimate | None = None) -> HeadRow:
    """Returns the row of a head, which is chosen for a reason or not at all."""
    value, low, high = (None, None, None) if below is None else (below.value, below.low, below.high)
    return {
        "head": head,
        "chosen": bool(reason),
        "reason": reason,
        "error": error,
        "seen_below": value,
        "low": low,
        "high": high,
    }
