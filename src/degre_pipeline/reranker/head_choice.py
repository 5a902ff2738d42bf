"""Chooses the head of the evaluators by data: the one that held-out lists surprise least."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from degre_pipeline.reranker.metrics import Estimate, bootstrap
from degre_pipeline.reranker.models.model_config import LEFT_OPEN, EvaluatorConfig, EvaluatorHead
from degre_pipeline.reranker.models.stored_models import TrainedWeights, restore_evaluator
from degre_pipeline.reranker.requests import Requests, gather_candidates
from degre_pipeline.reranker.training.training_state import History

HeadRow = dict[str, Any]
Train = Callable[[EvaluatorConfig], tuple[TrainedWeights, History]]
"""Trains the evaluator that settings describe."""

FIRST: EvaluatorHead = "company"
"""The head that is kept unless another is certainly better."""

BESIDE: tuple[EvaluatorHead, ...] = ("page_company", "leaving_company", "slot_clicks")
"""Heads that are always compared with it: company on both sides, users who leave, and a Transformer."""

OTHER_TRANSFORMERS: tuple[EvaluatorHead, ...] = ("hindsight", "survival")
"""Heads that are compared, too, where the Transformer is the best of those."""


def train_by_data(
    train: Train, learn: Requests, check: Requests, config: EvaluatorConfig, *, varied: bool
) -> tuple[TrainedWeights, History, list[HeadRow]]:
    """Trains an evaluator whose head the settings may leave open, and says why it has the head that it has.

    `by_data` trains an evaluator of several heads, each another idea of what a click depends on, and takes
    the one under which the clicks of whole held-out lists are least surprising. `company` is left only for a
    head whose surprise is lower with 95% confidence. Single evaluators are compared, and an ensemble is
    trained of the best head only.

    Args:
        train: Trains the evaluator of given settings.
        learn: Requests whose exposed lists it learns from; not read here.
        check: Requests on whose exposed lists heads are compared.
        config: Of the evaluator.
        varied: Whether slots vary in the whole log, see `support.varies`; else items' appeal is learned.
    Returns: The evaluator, its history, and rows of head, chosen, reason and, where heads were compared,
        surprise, -log P(clicks) of a list in nats, and its difference from `company` with `low` and `high`;
        none where the settings name a head.
    """
    if config.head not in LEFT_OPEN:
        return *train(config), []
    if not varied:
        reason = "slots follow the score, and their effects are not told apart"
        return *train(replace(config, head="appeal")), [_row("appeal", reason)]
    if config.head == "by_support":
        return *train(replace(config, head="slot_clicks")), [
            _row("slot_clicks", "slots vary; no other head was tried")
        ]
    tried: dict[EvaluatorHead, tuple[TrainedWeights, History]] = {}
    surprise: dict[EvaluatorHead, Tensor] = {}

    def best_of(heads: Sequence[EvaluatorHead]) -> EvaluatorHead:
        for head in heads:
            tried[head] = train(replace(config.single, head=head))
            surprise[head] = surprises(tried[head][0], check)
        better = [head for head in surprise if _than_first(surprise, head).high < 0]
        return min(better, key=lambda head: float(surprise[head].mean()), default=FIRST)

    best = best_of((FIRST, *BESIDE))
    if best == "slot_clicks":
        best = best_of(OTHER_TRANSFORMERS)
    reason = "no other is certainly less surprised" if best == FIRST else "the least surprised"
    rows = [
        _row(head, reason if head == best else "", of_lists, _than_first(surprise, head))
        for head, of_lists in surprise.items()
    ]
    if config.members > 1:
        return *train(replace(config, head=best)), rows
    return *tried[best], rows


def with_first_head(config: EvaluatorConfig) -> EvaluatorConfig:
    """Returns the evaluators' settings with the head that is tried first, where they leave it open."""
    return replace(config, head=FIRST) if config.head in LEFT_OPEN else config


def with_head(config: EvaluatorConfig, rows: Sequence[HeadRow]) -> EvaluatorConfig:
    """Returns the evaluators' settings with the head that was chosen, where they leave it open."""
    return replace(config, head=next(row["head"] for row in rows if row["chosen"])) if rows else config


@torch.no_grad()
def surprises(trained: TrainedWeights, requests: Requests) -> Tensor:
    """Returns -log P(clicks) of exposed lists under an evaluator, in nats, [b]; of members, their mean."""
    members = restore_evaluator(trained).members
    parts = [
        torch.stack([_surprise(member, batch) for member in members]).mean(0)
        for batch in requests.batches(1024)
    ]
    return torch.cat(parts).double()


def _surprise(evaluator: Any, batch: Requests) -> Tensor:
    logits = evaluator(batch.static, gather_candidates(batch.candidates, batch.exposed))
    surprise: Tensor = evaluator.surprise(logits, batch.clicks, batch.exposed_mask)
    return surprise


def _than_first(surprise: dict[EvaluatorHead, Tensor], head: EvaluatorHead) -> Estimate:
    return bootstrap((surprise[head] - surprise[FIRST]).numpy())


def _row(
    head: str, reason: str, surprise: Tensor | None = None, difference: Estimate | None = None
) -> HeadRow:
    """Returns the row of a head, which is chosen for a reason or not at all."""
    value, low, high = (None, None, None)
    if difference is not None and head != FIRST:
        value, low, high = difference.value, difference.low, difference.high
    return {
        "head": head,
        "chosen": bool(reason),
        "reason": reason,
        "surprise": None if surprise is None else float(surprise.mean()),
        "difference": value,
        "low": low,
        "high": high,
    }
