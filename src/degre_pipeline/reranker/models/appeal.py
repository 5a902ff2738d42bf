"""An evaluator for logs whose slots follow the ranking score: an item's appeal, examined as assumed."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from degre_pipeline.reranker.models.evaluator import Cache
from degre_pipeline.reranker.models.feature_layer import FeatureLayer
from degre_pipeline.reranker.models.slot_clicks import SlotClickEvaluator

SPREAD_OF_SCORES = 2.0
"""Logits between the lowest and the highest bucket of the ranking score, before training."""

SPEED = 10.0
"""Adam moves all parameters about equally far, and what the score adds has far to go."""


class AssumedExamination(nn.Module):
    """Chance that a slot is looked at, slot^-decay: assumed, not learned.

    Returns: Its log in one column, and the log of the chance of the opposite in another, [L, 2].
    """

    log_chances: Tensor

    def __init__(self, list_length: int, decay: float) -> None:
        super().__init__()
        looked = -decay * torch.arange(1, list_length + 1, dtype=torch.float64).log()
        chances = torch.stack([looked, (-torch.expm1(looked)).log()], -1)
        self.register_buffer("log_chances", chances.float(), persistent=False)

    def forward(self) -> Tensor:
        """Returns the two logs of each slot, [L, 2]."""
        return self.log_chances


class RisingScore(nn.Module):
    """What the ranking score's bucket adds to the appeal: more, never less, the higher the score.

    Buckets that were never shown, such as those of the lowest scores, keep the steps with which they begin,
    and so their items are never preferred for want of clicks that could speak against them.
    """

    def __init__(self, indices: int) -> None:
        super().__init__()
        step = torch.tensor(SPREAD_OF_SCORES / max(indices - 1, 1))
        self.steps = nn.Parameter(torch.full((indices - 1,), step.expm1().log().item() / SPEED))

    def forward(self, bucket: Tensor) -> Tensor:
        """Returns the addend of every bucket index, [..., 1] of [...]; 0 for index 0, a missing score."""
        levels = functional.pad(functional.softplus(SPEED * self.steps).cumsum(0), (1, 0))
        return levels[bucket.long()].unsqueeze(-1)


class AppealEvaluator(SlotClickEvaluator):
    """A click happens where a slot is examined, as assumed, and its item appeals; other items do not matter.

    Where every list is shown in the order of its score, a slot and a score cannot be told apart. This model
    credits what they have in common to the item. An item then overtakes another only if it earned more
    clicks where it was shown than the other did, which was shown higher up. If lower slots are looked at
    less, much or not at all, the list that this gives is worth at least the shown one.
    Source: the position-based model of Richardson et al., Predicting Clicks (WWW 2007). Differs: the
        examination is assumed, and so close to one that it only orders items by their appeal.
    """

    def __init__(
        self,
        features: FeatureLayer,
        examination: AssumedExamination,
        head: nn.Module,
        *,
        list_length: int,
        score_column: int | None = None,
        score_indices: int = 0,
    ) -> None:
        """Build it.

        Args:
            features: Of all fields.
            examination: Of the slots.
            head: From an item's vector to its appeal, but for what the ranking score adds.
            list_length: Slots of a list, L.
            score_column: Index column of the ranking score among those of the candidates; None for none.
            score_indices: Indices of the ranking score.
        """
        super().__init__(features, examination, (), head, list_length=list_length, columns=1)
        self.score_column = score_column
        self.rising = RisingScore(score_indices) if score_column is not None else None

    def project(self, static: Tensor, candidates: Tensor) -> Tensor:
        """Returns a vector for each candidate, [b, n, w + 1]: of its other fields, and its score's share."""
        if self.rising is None:
            vectors = super().project(static, candidates)
            return functional.pad(vectors, (0, 1))
        others = candidates.clone()
        others[..., self.score_column] = 0
        share = self.rising(candidates[..., self.score_column])
        return torch.cat([super().project(static, others), share], -1)

    def logits_of(self, vectors: Tensor, past: Cache | None = None) -> Tensor:
        """Returns the logit of a click on each item in its slot, [b, t, 1]; `past` as in `values_of`."""
        start = past[-1][0].shape[1] if past else 0
        return examined(self._appeal(vectors), self.slots()[start : start + vectors.shape[1]])

    def values_of(self, vectors: Tensor, past: Cache | None = None) -> Tensor:
        """Returns the expected clicks of every prefix, [b, t]; see `Evaluator`."""
        values = self.logits_of(vectors, past)[..., 0].sigmoid().cumsum(-1)
        return values + past[-1][0].sum(1) if past else values

    def step(self, vectors: Tensor, cache: Cache, slot: int) -> tuple[Tensor, Cache]:
        """Scores alternatives for the next slot, [p, m, 1]; they need no keys and values."""
        return examined(self._appeal(vectors), self.slots()[slot]), []

    def _appeal(self, vectors: Tensor) -> Tensor:
        appeal: Tensor = self.head(self.norm(vectors[..., :-1])) + vectors[..., -1:]
        return appeal * self.scale + self.shift


def examined(appeal: Tensor, log_chances: Tensor) -> Tensor:
    """Returns the logit of a click, P(examined) * sigmoid(appeal), without loss at either end.

    Args:
        appeal: Logit of a click where the slot is examined, [..., 1].
        log_chances: Logs of being examined and of not being, [..., 2].
    """
    looked, overlooked = log_chances[..., :1], log_chances[..., 1:]
    return looked - torch.logaddexp(-appeal, overlooked)
