"""A small point-wise click model, one item at a time: the ranking stage where a data set has none."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from degre_pipeline.reranker.models.feature_layer import FieldEmbedding
from degre_pipeline.reranker.models.offsets import ValueOffsets
from degre_pipeline.reranker.schema import FieldSize, additive_fields


class PointwiseClickModel(nn.Module):
    """MLP over the embeddings of user, context and item; one logit for each item.

    Args:
        sizes: Of all fitted fields.
        embedding_dim: Width of a field's embedding.
        dropout: Of the hidden layers.
        factors: Width of a factor model of the additive fields, which then stay out of the MLP and are added
            to its logit, see `ValueOffsets`; None: the MLP reads all fields. With additive fields alone it is
            a biased matrix factorization.
    Source: the DNN baseline of the reranking literature, hidden widths 200 and 80.
    """

    hidden_width = 80

    def __init__(
        self,
        sizes: Sequence[FieldSize],
        embedding_dim: int = 16,
        dropout: float = 0.1,
        factors: int | None = None,
    ) -> None:
        super().__init__()
        additive = [] if factors is None else additive_fields(sizes)
        self.offsets = ValueOffsets(sizes, additive, factors) if factors is not None and additive else None
        static, candidate = ([size for size in sizes if size.per_candidate == side] for side in (False, True))
        self.static = _embedding(static, embedding_dim, additive)
        self.candidate = _embedding(candidate, embedding_dim, additive)
        self.mlp = nn.Sequential(
            # Where it reads nothing, a zero stands for what it would have read.
            nn.Linear(max(1, (len(sizes) - len(additive)) * embedding_dim), 200),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(200, self.hidden_width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(self.hidden_width, 1),
        )

    def forward(self, static: Tensor, candidates: Tensor) -> Tensor:
        """Returns logits [b, n] of items with indices [b, n, columns] for users [b, columns]."""
        logits: Tensor = self.mlp[-1](self.hidden(static, candidates))
        if self.offsets is not None:
            logits = logits + self.offsets(static, candidates)
        return logits.squeeze(-1)

    def hidden(self, static: Tensor, candidates: Tensor) -> Tensor:
        """Returns the last hidden layer, [b, n, hidden]; [1, 1, hidden] where no field is read."""
        parts = []
        if self.static is not None:
            request = self.static(static).flatten(1)
            parts.append(request[:, None].expand(-1, candidates.shape[1], -1))
        if self.candidate is not None:
            parts.append(self.candidate(candidates).flatten(2))
        nothing = next(self.mlp.parameters()).new_zeros(1, 1, 1)
        hidden: Tensor = self.mlp[:-1](torch.cat(parts, -1) if parts else nothing)
        return hidden


def _embedding(
    sizes: Sequence[FieldSize], embedding_dim: int, left_out: Sequence[str]
) -> FieldEmbedding | None:
    """Returns the embedding of some fields' index columns; None if every field is left out."""
    read = any(size.name not in left_out for size in sizes)
    return FieldEmbedding(sizes, embedding_dim, left_out=left_out) if read else None
