"""A ranking-stage score for data that logs none.

Logged requests are scored by models that never saw their user, requests to come by one model that learned
from all training requests.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from degre_pipeline.reranker.checked_settings import check_types, require
from degre_pipeline.reranker.models.pointwise import PointwiseClickModel
from degre_pipeline.reranker.models.stored_models import TrainedWeights, store_ranking_model
from degre_pipeline.reranker.requests import Requests, gather_candidates
from degre_pipeline.reranker.schema import SPLITS, FieldSize
from degre_pipeline.reranker.training.loop import choose_device, fit, seeded
from degre_pipeline.reranker.training.training_config import TrainingConfig

STEPS_A_PASS, LEAST_BATCH = 50, 16
"""On a small log a pass has about so many steps, each of a multiple of so many requests."""
PATIENCE = 2
"""Passes without a better loss on held-out requests before a training stops."""


@dataclass(frozen=True)
class RankingStageConfig:
    """The point-wise model that stands in for a ranking stage.

    Attributes:
        folds: Models, each scoring the users it was not trained on.
        embedding_dim: Width of a field's embedding.
        steps: Most steps of a model's training, which ends sooner where held-out requests gain nothing more.
            On a log so large that these steps see only a part of it, that part is drawn at random.
        batch_size: Most requests a step; fewer where the log is so small that a pass would have few steps.
        learning_rate: As in `TrainingConfig`.
        device: As in `TrainingConfig`.
        seed: Of folds, weights and order.
    """

    folds: int = 3
    embedding_dim: int = 16
    steps: int = 3000
    batch_size: int = 1024
    learning_rate: float = 1e-3
    device: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        check_types(self)
        require(self.folds >= 2, "folds", self.folds, "2 or more")
        require(self.embedding_dim >= 1, "embedding_dim", self.embedding_dim, "1 or more")
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


def out_of_fold_scores(
    requests: Requests, fold_of_request: Tensor, sizes: Sequence[FieldSize], config: RankingStageConfig
) -> Tensor:
    """Returns a logit for every candidate of every request, [b, n], by models that did not see its user.

    Every model learns from the training requests of the other folds and stops by their validation
    requests. All splits are scored the same way, so that scores of training and test requests have one
    distribution and no score has seen its own clicks.

    Args:
        requests: Requests encoded without a ranking score.
        fold_of_request: Fold of the request's user, [b], 0 up to folds.
        sizes: Sizes of the encoded fields.
        config: The model and its training.
    """
    device = choose_device(config.device)
    scores = torch.zeros(requests.mask.shape)
    for fold in range(config.folds):
        mine = fold_of_request == fold
        others = requests.select(~mine)
        learning = int((others.split == SPLITS.index("train")).sum())
        require(learning > 0, "training requests outside fold", fold, "one or more: use fewer folds")
        model = _trained(others, sizes, config, seed=config.seed + fold, label=f"ranking model {fold + 1}")
        scores[mine] = _score(model, requests.select(mine), config.batch_size, device)
    return scores


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
    model = _trained(requests, sizes, config, seed=config.seed + config.folds, label="ranking model")
    return store_ranking_model(model, sizes, config.embedding_dim, feature_space)


def _trained(
    requests: Requests, sizes: Sequence[FieldSize], config: RankingStageConfig, *, seed: int, label: str
) -> PointwiseClickModel:
    """Returns a model that learned from the training requests and stopped by the validation requests."""
    learn, stop = (
        _at_most(config.most_requests, requests.select(requests.split == SPLITS.index(split)), config.seed)
        for split in ("train", "validation")
    )
    with seeded(seed):
        model = PointwiseClickModel(sizes, config.embedding_dim)
    fit(
        model,
        pointwise_loss,
        learn,
        stop if len(stop) else learn,
        config.training(len(learn)),
        label=label,
    )
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
