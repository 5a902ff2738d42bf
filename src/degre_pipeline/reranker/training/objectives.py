"""What each model learns from: the loss of a batch of requests or of mined sequences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from degre_pipeline.reranker.checked_settings import check_types, require, require_choice
from degre_pipeline.reranker.labels import sequence_weights, soft_labels
from degre_pipeline.reranker.losses import hybrid_distillation_loss, imitation_loss
from degre_pipeline.reranker.mined_requests import MinedRequests
from degre_pipeline.reranker.models.evaluator import Evaluator, LookaheadEvaluator
from degre_pipeline.reranker.requests import Requests, gather_candidates

Teacher = Literal["mined", "exposed"]
Targets = Literal["own", "best"]


@dataclass(frozen=True)
class EvaluatorLoss:
    """Loss of the exposed lists of a batch, the mean of models trained as one.

    Attributes:
        evaluator: One of the kind that is trained; it says what lists are learned from, see `list_loss`.
    """

    evaluator: LookaheadEvaluator

    def __call__(self, model: nn.Module, requests: Requests) -> Tensor:
        """Returns the mean loss of the batch."""
        logits = model(requests.static, gather_candidates(requests.candidates, requests.exposed))
        each = logits if logits.ndim == 4 else logits[None]
        losses = [self.evaluator.list_loss(one, requests.clicks, requests.exposed_mask) for one in each]
        return torch.stack(losses).mean()


@dataclass(frozen=True)
class CompressionLoss:
    """How an evaluator's predictions for the lists of a batch differ from the mean of an ensemble's.

    Attributes:
        ensemble: In eval mode, on the device of the batches; of the shape that is trained.
    """

    ensemble: Evaluator

    def __call__(self, model: nn.Module, requests: Requests) -> Tensor:
        """Returns the mean cross-entropy of the batch."""
        listed = requests.static, gather_candidates(requests.candidates, requests.exposed)
        with torch.no_grad():
            means = torch.stack([member(*listed).sigmoid() for member in self.ensemble.members]).mean(0)
        return imitation_loss(model(*listed), means, requests.exposed_mask)


@dataclass(frozen=True)
class DistillationConfig:
    """The hybrid distillation objective.

    Attributes:
        teacher: `mined` sequences, or the `exposed` lists alone, as in the paper's ablation.
        soft_label_weight: alpha, the weight of the soft labels.
        soft_label_temperature: tau_q; 1 is the paper's formula.
        sequence_temperature: tau_w of the sequence weights.
        targets: What is imitated after each prefix of a mined sequence: its `own` next item, as in the paper,
            or that of the `best` mined sequence with the same prefix.
        sequence_weighting: Off gives every sequence of a request the same weight.
        one_sequence_a_step: In training, learn from one sequence of each request, drawn by weight, a step.
        hard_labels: Off leaves only the soft labels, as in the paper's ablation.
        warm_start: Starts the embeddings from the mining evaluator's.
        own_prefix_rounds: Further trainings on the generator's own lists too, each of whose prefixes the
            evaluator labels anew; 0: none, as in the paper.
        own_prefix_beam: B of the completions that label them.
        despite_log: Distils also where slots follow the score and no logged click speaks for mined lists;
            otherwise the run ends there and says so.
    Source: DeGRe (arXiv 2605.25749), Eq. 9, 10 and 13; alpha from 5.1.4; tau_w is not published.
    """

    teacher: Teacher = "mined"
    soft_label_weight: float = 0.01
    soft_label_temperature: float = 1.0
    sequence_temperature: float = 0.1
    targets: Targets = "own"
    sequence_weighting: bool = True
    one_sequence_a_step: bool = False
    hard_labels: bool = True
    warm_start: bool = False
    own_prefix_rounds: int = 0
    own_prefix_beam: int = 4
    despite_log: bool = False

    def __post_init__(self) -> None:
        check_types(self)
        require_choice("teacher", self.teacher, Teacher)
        require_choice("targets", self.targets, Targets)
        require(
            0 <= self.own_prefix_rounds <= (10 if self.teacher == "mined" else 0),
            "own_prefix_rounds",
            self.own_prefix_rounds,
            "0 to 10; 0 when teacher is 'exposed', which cannot label them",
        )
        require(1 <= self.own_prefix_beam <= 10_000, "own_prefix_beam", self.own_prefix_beam, "1 to 10,000")
        require(self.soft_label_weight >= 0, "soft_label_weight", self.soft_label_weight, "0 or more")
        for name in ("soft_label_temperature", "sequence_temperature"):
            require(getattr(self, name) > 0, name, getattr(self, name), "above 0")
        require(
            self.hard_labels or self.soft_label_weight > 0,
            "soft_label_weight",
            self.soft_label_weight,
            "above 0 when hard_labels is off",
        )
        require(
            self.hard_labels or self.teacher == "mined",
            "hard_labels",
            self.hard_labels,
            "on when teacher is 'exposed', which has no soft labels",
        )


@dataclass(frozen=True)
class DistillationLoss:
    """Hybrid distillation loss of a batch of mined requests, with its labels made on the fly."""

    config: DistillationConfig

    def __call__(self, model: nn.Module, mined: MinedRequests) -> Tensor:
        """Returns the mean loss of the batch."""
        requests, config = mined.requests, self.config
        weights = self._weights(mined.values.float())
        if config.targets == "best":
            mined = mined.with_best_targets()
        if config.one_sequence_a_step and model.training:
            mined, weights = mined.one_sequence(weights), torch.ones_like(weights[:, :1])
        log_probabilities = model(requests.static, requests.candidates, requests.mask, mined.sequences.long())
        return hybrid_distillation_loss(
            log_probabilities,
            mined.targets.long(),
            soft_labels(mined.step_values.float(), config.soft_label_temperature),
            weights,
            soft_label_weight=config.soft_label_weight,
            use_hard_labels=config.hard_labels,
        )

    def _weights(self, values: Tensor) -> Tensor:
        if self.config.sequence_weighting:
            return sequence_weights(values, self.config.sequence_temperature)
        exists = values.isfinite()
        return exists / exists.float().mean(1, keepdim=True)
