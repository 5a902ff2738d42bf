"""A ranking-stage score for data that logs none, from models that never saw the user they score."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from degre_pipeline.reranker.batching import SPLITS, Requests, gather_candidates
from degre_pipeline.reranker.configs import TrainingConfig, check_types, require
from degre_pipeline.reranker.models.pointwise import PointwiseClickModel
from degre_pipeline.reranker.schema import FieldSize
from degre_pipeline.reranker.training import choose_device, fit, seeded


@dataclass(frozen=True)
class RankingStageConfig:
    """The point-wise model that stands in for a ranking stage.

    Attributes:
        folds: Models, each scoring the users it was not trained on.
        embedding_dim: Width of a field's embedding.
        epochs, batch_size, learning_rate, device, seed: As in `TrainingConfig`.
    """

    folds: int = 3
    embedding_dim: int = 16
    epochs: int = 3
    batch_size: int = 1024
    learning_rate: float = 1e-3
    device: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        check_types(self)
        require(self.folds >= 2, "folds", self.folds, "2 or more")
        require(self.embedding_dim >= 1, "embedding_dim", self.embedding_dim, "1 or more")
        self.training()

    def training(self) -> TrainingConfig:
        """Returns how each fold's model is trained. Raises: ValueError: On a setting that is not allowed."""
        return TrainingConfig(
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            patience=1,
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
        requests: Requests encoded without any score field.
        fold_of_request: Fold of the request's user, [b], 0 up to folds.
        sizes: Sizes of the encoded fields.
        config: The model and its training.
    """
    training = config.training()
    device = choose_device(training.device)
    scores = torch.zeros(requests.mask.shape)
    for fold in range(config.folds):
        mine = fold_of_request == fold
        with seeded(config.seed + fold):
            model = PointwiseClickModel(sizes, config.embedding_dim)
        learn = requests.select(~mine & (requests.split == SPLITS.index("train")))
        stop = requests.select(~mine & (requests.split == SPLITS.index("validation")))
        require(len(learn) > 0, "training requests outside fold", fold, "one or more: use fewer folds")
        fit(
            model,
            pointwise_loss,
            learn,
            stop if len(stop) else learn,
            training,
            label=f"ranking model {fold + 1}",
        )
        scores[mine] = _score(model, requests.select(mine), config.batch_size, device)
    return scores


@torch.no_grad()
def _score(model: nn.Module, requests: Requests, batch_size: int, device: torch.device) -> Tensor:
    parts = [
        model(batch.static.to(device), batch.candidates.to(device)).cpu()
        for batch in requests.batches(batch_size)
    ]
    return torch.cat(parts) if parts else torch.zeros(requests.mask.shape)
