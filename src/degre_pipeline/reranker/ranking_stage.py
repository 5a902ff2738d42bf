"""A ranking-stage score for data that logs none.

Logged requests are scored by models that learned from earlier ones, requests to come by one model that
learned from all training requests.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from degre_pipeline.reranker.checked_settings import check_types, require
from degre_pipeline.reranker.models.model_config import MOST_FACTORS
from degre_pipeline.reranker.models.pointwise import PointwiseClickModel
from degre_pipeline.reranker.models.stored_models import (
    TrainedWeights,
    restore_ranking_model,
    store_ranking_model,
)
from degre_pipeline.reranker.requests import Requests, gather_candidates
from degre_pipeline.reranker.schema import SPLITS, FieldSize
from degre_pipeline.reranker.training.loop import choose_device, fit, seeded
from degre_pipeline.reranker.training.training_config import TrainingConfig

STEPS_A_PASS, LEAST_BATCH = 50, 16
"""On a small log a pass has about so many steps, each of a multiple of so many requests."""
PATIENCE = 2
"""Passes without a better loss on held-out requests before a training stops."""
HELD_OUT_SHARE, MOST_HELD_OUT = 10, 8_000
"""One in so many of a model's requests, and at most so many, stop its training and are not learned from."""


@dataclass(frozen=True)
class RankingStageConfig:
    """The point-wise model that stands in for a ranking stage.

    Attributes:
        folds: Parts of the training requests, in time; each is scored by a model of the parts before it.
        embedding_dim: Width of a field's embedding.
        factors: Width of a factor model of the additive fields, see `ValueOffsets`; 0: their offsets alone.
        penalty: Weight of the squares of what additive fields add to a click's logit, in nats an item.
        steps: Most steps of a model's training, which ends sooner where held-out requests gain nothing more.
            On a log so large that these steps see only a part of it, that part is drawn at random.
        batch_size: Most requests a step; fewer where the log is so small that a pass would have few steps.
        learning_rate: As in `TrainingConfig`.
        device: As in `TrainingConfig`.
        seed: Of folds, weights and order.
    """

    folds: int = 3
    embedding_dim: int = 16
    factors: int = 16
    penalty: float = 0.01
    steps: int = 3000
    batch_size: int = 1024
    learning_rate: float = 1e-3
    device: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        check_types(self)
        require(self.folds >= 2, "folds", self.folds, "2 or more")
        require(self.embedding_dim >= 1, "embedding_dim", self.embedding_dim, "1 or more")
        factors, allowed = self.factors, f"0 to {MOST_FACTORS}"
        require(0 <= factors <= MOST_FACTORS, "factors", factors, allowed)
        require(self.penalty >= 0, "penalty", self.penalty, "0 or more")
        require(self.steps >= 1, "steps", self.steps, "1 or more")
        self.training(1)

    @property
    def most_requests(self) -> int:
        """Training requests that a model can see within its steps, each once."""
        return self.steps * self.batch_size

    def training(self, requests: int) -> TrainingConfig:
        """Returns how a model is trained on so many requests.

        Raises: ValueError: On a setting that is not allowed.
        """
        fitting = requests // STEPS_A_PASS // LEAST_BATCH * LEAST_BATCH
        batch_size = min(self.batch_size, max(LEAST_BATCH, fitting))
        steps_a_pass = max(1, requests // max(1, batch_size))
        return TrainingConfig(
            epochs=max(1, self.steps // steps_a_pass),
            batch_size=batch_size,
            learning_rate=self.learning_rate,
            patience=PATIENCE,
            device=self.device,
            seed=self.seed,
        )


def pointwise_loss(model: nn.Module, requests: Requests) -> Tensor:
    """Binary cross-entropy of the clicks on exposed items, in nats an item."""
    logits = model(requests.static, gather_candidates(requests.candidates, requests.exposed))
    terms = functional.binary_cross_entropy_with_logits(logits, requests.clicks, reduction="none")
    return (terms * requests.exposed_mask).sum() / requests.exposed_mask.sum().clamp(min=1)


@dataclass(frozen=True)
class RankingLoss:
    """Loss of a ranking model: `pointwise_loss`, in training also a penalty on its additive fields.

    Source: regularization of the vectors of a matrix factorization by how often each is used, Koren, Bell and
    Volinsky, Computer 42 (2009), Eq. 5.

    Attributes:
        model: The one that is trained, whatever wraps it.
        penalty: Weight of the squares of its additive numbers, in nats an item.
    """

    model: PointwiseClickModel
    penalty: float

    def __call__(self, model: nn.Module, requests: Requests) -> Tensor:
        """Returns the mean loss of the exposed items of a batch."""
        loss = pointwise_loss(model, requests)
        if self.model.offsets is None or not self.model.training:
            return loss
        shown = gather_candidates(requests.candidates, requests.exposed)
        squares = self.model.offsets.squares(requests.static, shown) * requests.exposed_mask
        return loss + self.penalty * squares.sum() / requests.exposed_mask.sum().clamp(min=1)


def scores_of_the_past(
    requests: Requests,
    fold_of_request: Tensor,
    sizes: Sequence[FieldSize],
    config: RankingStageConfig,
    feature_space: str = "",
) -> tuple[Tensor, TrainedWeights]:
    """Returns a logit for every candidate of every request, [b, n], and the model of requests to come.

    Training requests of a fold are scored by a model of the folds before it, those of the first fold, which
    has no past, by a model of the second. All other requests are scored by the model that learned from all
    training requests; so will be those to come. No score has seen the clicks of its request, or of a later
    request but in the first fold.

    Args:
        requests: Requests encoded without a ranking score.
        fold_of_request: Fold of a training request, [b], 0 up to folds, earlier ones first.
        sizes: Sizes of the encoded fields.
        config: The models and their training.
        feature_space: Identity of the feature space whose indices they learn; see `fingerprints`.
    Raises: ValueError: If there are training requests in one fold only.
    """
    device = choose_device(config.device)
    trains = requests.split == SPLITS.index("train")
    scores = torch.zeros(requests.mask.shape)
    for fold in range(config.folds):
        mine = trains & (fold_of_request == fold)
        if not bool(mine.any()):
            continue
        past = trains & (fold_of_request < fold)
        if not bool(past.any()):
            later = fold_of_request[trains & (fold_of_request > fold)]
            require(len(later) > 0, "training requests outside fold", fold, "one or more: give more requests")
            past = trains & (fold_of_request == later.min())
        label = f"ranking model {fold + 1}"
        model = _trained(requests.select(past), sizes, config, seed=config.seed + fold, label=label)
        scores[mine] = _score(model, requests.select(mine), config.batch_size, device)
    stored = train_ranking_model(requests, sizes, config, feature_space)
    model = restore_ranking_model(stored).to(device)
    scores[~trains] = _score(model, requests.select(~trains), config.batch_size, device)
    return scores, stored


def train_ranking_model(
    requests: Requests, sizes: Sequence[FieldSize], config: RankingStageConfig, feature_space: str = ""
) -> TrainedWeights:
    """Returns a model that scores requests to come: it learned from all training requests.

    Args:
        requests: Requests encoded without a ranking score.
        sizes: Sizes of the encoded fields.
        config: The model and its training.
        feature_space: Identity of the feature space whose indices it learned; see `fingerprints`.
    """
    seed = config.seed + config.folds
    model = _trained(requests.of("train"), sizes, config, seed=seed, label="ranking model")
    return store_ranking_model(model, sizes, config.embedding_dim, feature_space, config.factors)


def _trained(
    requests: Requests, sizes: Sequence[FieldSize], config: RankingStageConfig, *, seed: int, label: str
) -> PointwiseClickModel:
    """Returns a model that learned from most of the requests and stopped by the others."""
    known = _at_most(config.most_requests, requests, config.seed)
    drawn = torch.randperm(len(known), generator=torch.Generator().manual_seed(config.seed))
    held_out = min(len(known) // HELD_OUT_SHARE, MOST_HELD_OUT)
    stop, learn = (known.select(rows.sort().values) for rows in (drawn[:held_out], drawn[held_out:]))
    with seeded(seed):
        model = PointwiseClickModel(sizes, config.embedding_dim, factors=config.factors)
    loss = RankingLoss(model, config.penalty)
    fit(model, loss, learn, stop if len(stop) else learn, config.training(len(learn)), label=label)
    return model


def _at_most(most: int, requests: Requests, seed: int) -> Requests:
    """Returns the requests, or as many of them as allowed, drawn at random, in their order."""
    if len(requests) <= most:
        return requests
    drawn = torch.randperm(len(requests), generator=torch.Generator().manual_seed(seed))[:most]
    return requests.select(drawn.sort().values)


@torch.no_grad()
def _score(model: nn.Module, requests: Requests, batch_size: int, device: torch.device) -> Tensor:
    parts = [
        model(batch.static.to(device), batch.candidates.to(device)).cpu()
        for batch in requests.batches(batch_size)
    ]
    return torch.cat(parts) if parts else torch.zeros(requests.mask.shape)
