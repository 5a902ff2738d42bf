"""A small point-wise click model, one item at a time: the ranking stage where a data set has none."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from degre_pipeline.reranker.models.feature_layer import FieldEmbedding
from degre_pipeline.reranker.schema import FieldSize


class PointwiseClickModel(nn.Module):
    """MLP over the embeddings of user, context and item; one logit for each item.

    Source: the DNN baseline of the reranking literature, hidden widths 200 and 80.
    """

    hidden_width = 80

    def __init__(self, sizes: Sequence[FieldSize], embedding_dim: int = 16, dropout: float = 0.1) -> None:
        super().__init__()
        static = [size for size in sizes if not size.per_candidate]
        candidate = [size for size in sizes if size.per_candidate]
        self.static = FieldEmbedding(static, embedding_dim) if static else None
        self.candidate = FieldEmbedding(candidate, embedding_dim)
        self.mlp = nn.Sequential(
            nn.Linear(len(sizes) * embedding_dim, 200),
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
        return logits.squeeze(-1)

    def hidden(self, static: Tensor, candidates: Tensor) -> Tensor:
        """Returns the last hidden layer, [b, n, hidden width]."""
        items = self.candidate(candidates).flatten(2)
        if self.static is not None:
            request = self.static(static).flatten(1)
            items = torch.cat([request[:, None].expand(-1, items.shape[1], -1), items], -1)
        hidden: Tensor = self.mlp[:-1](items)
        return hidden
