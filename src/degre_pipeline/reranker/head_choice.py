"""Chooses the head of the evaluators by data: which one fits the clicks of whole held-out lists best."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from degre_pipeline.reranker.checked_settings import check_types, require
from degre_pipeline.reranker.evaluator_training import train_evaluator
from degre_pipeline.reranker.metrics import Estimate, bootstrap
from degre_pipeline.reranker.models.evaluator import Evaluator
from degre_pipeline.reranker.models.model_config import LEFT_OPEN, EvaluatorConfig, EvaluatorHead
from degre_pipeline.reranker.models.stored_models import restore_evaluator
from degre_pipeline.reranker.requests import Requests, gather_candidates
from degre_pipeline.reranker.schema import FieldSize
from degre_pipeline.reranker.training.loop import choose_device
from degre_pipeline.reranker.training.training_config import TrainingConfig
from degre_pipeline.reranker.training.training_state import Checkpoints

HeadRow = dict[str, Any]

TRIED: tuple[EvaluatorHead, ...] = ("slot_clicks", "hindsight", "cumulative", "survival")
"""Heads that learn what slots do; the first one is kept unless another one is certainly better."""

LEAST_CHANCE = 1e-6
"""A number of clicks that a head holds impossible counts as this likely."""


@dataclass(frozen=True)
class HeadChoiceConfig:
    """How the head is chosen where `head: by_data` leaves it open and the log shows every rank in every slot.

    Attributes:
        requests: Training requests that each head is tried on, drawn at random; 0: all.
        epochs: Of each trial.
        seed: Of the draw.
    """

    requests: int = 30_000
    epochs: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        check_types(self)
        require(self.requests >= 0, "requests", self.requests, "0 (all) or more")
        require(self.epochs >= 1, "epochs", self.epochs, "1 or more")


def choose_head(
    learn: Requests,
    check: Requests,
    *,
    varied: bool,
    sizes: Sequence[FieldSize],
    config: EvaluatorConfig,
    training: TrainingConfig,
    choice: HeadChoiceConfig,
    encoding: str = "",
    checkpoints: Checkpoints | None = None,
) -> list[HeadRow]:
    """Returns a row for each head that was considered, one of which is chosen.

    A head is judged by the surprise of the *number* of clicks of whole lists: what every head predicts, and
    what the value of a list is the mean of. A head that errs because it does not see what stands below a slot
    has a low loss of its own and a high surprise. The first of `TRIED` stays unless the interval of another
    one's surprise less its own lies below zero; of those the least surprised one is chosen.

    Args:
        learn: Requests whose exposed lists are learned from.
        check: Requests on whose exposed lists the heads are compared.
        varied: Whether slots vary in the whole log, see `support.varies`; elsewhere nothing is tried.
        sizes: Of the fitted fields.
        config: Of the evaluators; where its head is no open one, no row is returned.
        training: Of the evaluators, but for the epochs.
        choice: How much each head is tried.
        encoding: Identity of the feature space, stored with the trials.
        checkpoints: Where interrupted and finished trials are found.
    Returns: head, chosen, reason; of tried heads also surprise, in nats a list, and its difference to that of
        the first one with a 95% interval, `difference`, `low`, `high`.
    """
    if config.head not in LEFT_OPEN:
        return []
    if not varied:
        return [
            _row("appeal", chosen=True, reason="slots follow the score: their effects cannot be told apart")
        ]
    if config.head == "by_support":
        return [_row(TRIED[0], chosen=True, reason="slots vary; no other head was tried")]
    some = _drawn(learn, choice)
    single = replace(config, members=1)
    tried = replace(training, epochs=choice.epochs)
    surprises: dict[str, Tensor] = {}
    for head in TRIED:
        weights, _ = train_evaluator(
            some,
            check,
            sizes=sizes,
            config=replace(single, head=head),
            training=tried,
            name=f"trial_{head}",
            encoding=encoding,
            checkpoints=checkpoints,
        )
        evaluator = restore_evaluator(weights).to(choose_device(training.device))
        surprises[head] = surprise(evaluator, check, training.batch_size)
    return compare_heads(surprises)


def compare_heads(surprises: Mapping[str, Tensor]) -> list[HeadRow]:
    """Returns the rows of `choose_head`.

    Args:
        surprises: Of each head at the same lists, [b] each; the head that stays in doubt comes first.
    """
    first, *others = surprises
    gains = {head: bootstrap((surprises[head] - surprises[first]).numpy()) for head in others}
    better = [head for head in others if gains[head].high < 0]
    best = min(better, key=lambda head: gains[head].value, default=first)
    reasons = {
        True: "the least surprise by whole lists" if better else "no other head is certainly less surprised",
        False: "",
    }
    nothing = Estimate(0.0, 0.0, 0.0)
    return [
        _row(
            head,
            chosen=head == best,
            reason=reasons[head == best],
            surprise=float(found.mean()),
            difference=gains.get(head, nothing),
        )
        for head, found in surprises.items()
    ]


def with_head(config: EvaluatorConfig, rows: Sequence[HeadRow]) -> EvaluatorConfig:
    """Returns the evaluators' settings with the head that was chosen, where they leave it open."""
    return replace(config, head=next(row["head"] for row in rows if row["chosen"])) if rows else config


@torch.no_grad()
def surprise(evaluator: Evaluator, requests: Requests, batch_size: int) -> Tensor:
    """Returns -log of the chance that an evaluator gives to the number of clicks of each exposed list, [b].

    Args:
        evaluator: In eval mode, on its device.
        requests: b requests.
        batch_size: Lists encoded together.
    """
    device = next(evaluator.parameters()).device
    found = []
    for batch in requests.to(device).batches(batch_size):
        levels = evaluator.levels(batch.static, gather_candidates(batch.candidates, batch.exposed))
        last = (batch.exposed_mask.sum(1) - 1).clamp(min=0)
        reached = levels[torch.arange(len(batch), device=device), last].cummin(-1).values
        beyond = torch.arange(reached.shape[1], device=device) > last[:, None]
        at_least = torch.nn.functional.pad(reached.masked_fill(beyond, 0.0), (1, 0), value=1.0)
        exactly = at_least - torch.nn.functional.pad(at_least[:, 1:], (0, 1))
        clicks = (batch.clicks * batch.exposed_mask).sum(1, keepdim=True).long()
        found.append(-exactly.gather(1, clicks)[:, 0].clamp(min=LEAST_CHANCE).log())
    return torch.cat(found).double().cpu()


def _drawn(requests: Requests, choice: HeadChoiceConfig) -> Requests:
    order = torch.randperm(len(requests), generator=torch.Generator().manual_seed(choice.seed))
    return requests.select(order[: choice.requests or len(requests)].sort().values)


def _row(
    head: str,
    *,
    chosen: bool,
    reason: str,
    surprise: float | None = None,
    difference: Estimate | None = None,
) -> HeadRow:
    low, high = (None, None) if difference is None else (difference.low, difference.high)
    value = None if difference is None else difference.value
    return {
        "head": head,
        "chosen": chosen,
        "reason": reason,
        "surprise": surprise,
        "difference": value,
        "low": low,
        "high": high,
    }
