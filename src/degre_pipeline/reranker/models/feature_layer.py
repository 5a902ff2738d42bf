"""The feature layer shared by the evaluator and the generator: from index columns to one vector an item.

Dimension letters: b requests, n candidates or t slots, f fields, d embedding width, w model width.
"""

from collections.abc import Collection, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from degre_pipeline.reranker.models.model_config import FieldAttention, NetworkConfig, NormStatistics
from degre_pipeline.reranker.schema import GROUPS, FieldSize


class FieldEmbedding(nn.Module):
    """Embeds the index columns of all fields from one table; tags of one value are averaged.

    Index 0 of every field (unknown, missing) starts at zero. In training a share `id_dropout` of the
    categorical values is shown as unknown, so that unknown ids have a trained embedding when served.
    """

    offsets: Tensor
    categorical: Tensor

    def __init__(
        self,
        sizes: Sequence[FieldSize],
        embedding_dim: int,
        id_dropout: float = 0.0,
        left_out: Collection[str] = (),
    ) -> None:
        super().__init__()
        self.kept = columns_of(sizes, [size.name for size in sizes if size.name not in left_out])
        sizes = [size for size in sizes if size.name not in left_out]
        self.widths = [size.columns for size in sizes]
        self.tagged = any(size.kind == "tags" for size in sizes)
        self.id_dropout = id_dropout
        starts = torch.tensor([0, *[size.indices for size in sizes]]).cumsum(0)
        repeats = torch.tensor(self.widths, dtype=torch.long)
        self.table = nn.Embedding(int(starts[-1]), embedding_dim)
        nn.init.normal_(self.table.weight, std=embedding_dim**-0.5)
        with torch.no_grad():
            self.table.weight[starts[:-1]] = 0.0
        self.register_buffer("offsets", starts[:-1].repeat_interleave(repeats), persistent=False)
        is_categorical = torch.tensor([size.kind == "categorical" for size in sizes])
        self.register_buffer("categorical", is_categorical.repeat_interleave(repeats), persistent=False)

    def forward(self, indices: Tensor) -> Tensor:
        """Returns embeddings [..., f, d] of indices [..., columns]."""
        if len(self.kept) < indices.shape[-1]:
            indices = indices[..., self.kept]
        if self.training and self.id_dropout > 0:
            dropped = torch.rand(indices.shape, device=indices.device) < self.id_dropout
            indices = indices.masked_fill(dropped & self.categorical, 0)
        embedded: Tensor = self.table(indices + self.offsets)
        if not self.tagged:
            return embedded
        real = (indices > 0).unsqueeze(-1)
        parts = zip(embedded.split(self.widths, -2), real.split(self.widths, -2), strict=True)
        return torch.cat(
            [part if part.shape[-2] == 1 else _mean_of_real(part, kept) for part, kept in parts], -2
        )


def columns_of(sizes: Sequence[FieldSize], names: Collection[str]) -> list[int]:
    """Returns the index columns of the named fields among those of all the given ones, in their order."""
    fields = [size.name for size in sizes for _ in range(size.columns)]
    return [column for column, name in enumerate(fields) if name in names]


def _mean_of_real(tags: Tensor, real: Tensor) -> Tensor:
    return (tags * real).sum(-2, keepdim=True) / real.sum(-2, keepdim=True).clamp(min=1)


class GroupLayerNorm(nn.Module):
    """Layer normalization with affine parameters of each feature group.

    Args:
        groups: Group of every field, [f].
        statistics: `token`: mean and variance over the d channels of a field. `group`: over all channels of
            the fields of a group at one position.
    Source: MTGR (arXiv 2505.18654), in words; cited by DeGRe 4.1. Which statistics is not published.
    """

    group_of_field: Tensor
    same_group: Tensor

    def __init__(
        self, groups: Sequence[str], embedding_dim: int, statistics: NormStatistics = "token"
    ) -> None:
        super().__init__()
        present = [group for group in GROUPS if group in groups]
        index = torch.tensor([present.index(group) for group in groups])  # type: ignore[arg-type]
        self.statistics = statistics
        self.gamma = nn.Parameter(torch.ones(len(present), embedding_dim))
        self.beta = nn.Parameter(torch.zeros(len(present), embedding_dim))
        same = (index[:, None] == index[None, :]).float()
        self.register_buffer("group_of_field", index, persistent=False)
        self.register_buffer("same_group", same / same.sum(1, keepdim=True), persistent=False)

    def forward(self, embedded: Tensor) -> Tensor:
        """Returns the normalized [..., f, d] of embeddings [..., f, d]."""
        mean = embedded.mean(-1, keepdim=True)
        if self.statistics == "group":
            mean = self.same_group @ mean
        centred = embedded - mean
        variance = centred.square().mean(-1, keepdim=True)
        if self.statistics == "group":
            variance = self.same_group @ variance
        gamma, beta = self.gamma[self.group_of_field], self.beta[self.group_of_field]
        return centred * torch.rsqrt(variance + 1e-5) * gamma + beta


class InterDomainAttention(nn.Module):
    """Attention among the field tokens of one position; positions do not mix.

    Args:
        groups: Group of every field, [f].
        mode: `full`; `cross_only` masks pairs of one group; `mtgr` is the gated SiLU block of MTGR.
    Source: DeGRe 4.1 names it without a definition; the default is plain multi-head self-attention
        over fields without a residual, since the raw embeddings are concatenated next to the result.
    """

    blocked: Tensor

    def __init__(self, groups: Sequence[str], embedding_dim: int, heads: int, mode: FieldAttention) -> None:
        super().__init__()
        self.heads, self.mode = heads, mode
        self.project = nn.Linear(embedding_dim, embedding_dim * (4 if mode == "mtgr" else 3), bias=False)
        self.out = nn.Linear(embedding_dim, embedding_dim, bias=False)
        self.gated_norm = GroupLayerNorm(groups, embedding_dim) if mode == "mtgr" else None
        same = torch.tensor([[one == other for other in groups] for one in groups])
        alone = same.all(1, keepdim=True)
        self.register_buffer("blocked", same & ~alone, persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Returns the attended [..., f, d] of normalized tokens [..., f, d]."""
        split = (self.heads, tokens.shape[-1] // self.heads)
        # Four dimensions, not five: torch.compile takes attention over more of them for another layout.
        positions = tokens.flatten(0, -3)
        parts = self.project(positions).chunk(4 if self.mode == "mtgr" else 3, -1)
        query, key, value = (part.unflatten(-1, split).transpose(1, 2) for part in parts[:3])
        if self.gated_norm is not None:
            mixed = (functional.silu(query @ key.transpose(-1, -2)) / tokens.shape[-2]) @ value
            gated = self.gated_norm(mixed.transpose(1, 2).flatten(2) * parts[3])
            residual: Tensor = tokens + self.out(gated).view_as(tokens)
            return residual
        visible = ~self.blocked if self.mode == "cross_only" else None
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=visible)
        attended: Tensor = self.out(mixed.transpose(1, 2).flatten(2)).view_as(tokens)
        return attended


class FeatureLayer(nn.Module):
    """Turns the fields of a request into one vector for each of its items.

    `Linear(Flatten(E) ‖ Flatten(E~))`, where E~ is the inter-domain attention over the group-normalized E.
    The slot's part of the same linear layer is `SlotEmbedding`: a sum, so that items are projected once.
    Source: DeGRe (arXiv 2605.25749), Eq. 5.
    """

    def __init__(
        self,
        sizes: Sequence[FieldSize],
        *,
        embedding_dim: int,
        width: int,
        field_attention: FieldAttention,
        field_heads: int,
        norm_statistics: NormStatistics,
        id_dropout: float,
        left_out: Collection[str] = (),
    ) -> None:
        super().__init__()
        all_static = [size for size in sizes if not size.per_candidate]
        all_candidate = [size for size in sizes if size.per_candidate]
        static, candidate = (
            [size for size in side if size.name not in left_out] for side in (all_static, all_candidate)
        )
        groups = [size.group for size in (*static, *candidate)]
        self.user_fields = [position for position, size in enumerate(static) if size.group == "user"]
        self.embedding_dim = embedding_dim
        self.static = FieldEmbedding(all_static, embedding_dim, id_dropout, left_out) if static else None
        self.candidate = FieldEmbedding(all_candidate, embedding_dim, id_dropout, left_out)
        self.norm = GroupLayerNorm(groups, embedding_dim, norm_statistics)
        self.attention = (
            None
            if field_attention == "none"
            else InterDomainAttention(groups, embedding_dim, field_heads, field_attention)
        )
        self.project = nn.Linear(2 * len(groups) * embedding_dim, width)

    def forward(self, static: Tensor, candidates: Tensor) -> tuple[Tensor, Tensor]:
        """Returns item vectors and the user representation.

        Args:
            static: Indices of user and context fields, [b, columns].
            candidates: Indices of item and score fields, [b, n, columns].
        Returns: Item vectors [b, n, w]; concatenated user embeddings [b, user fields x d].
        """
        embedded = self.candidate(candidates)
        b, n = embedded.shape[:2]
        user = embedded.new_zeros(b, 0)
        if self.static is not None:
            request = self.static(static)
            user = request[:, self.user_fields].flatten(1)
            embedded = torch.cat([request.unsqueeze(1).expand(b, n, -1, -1), embedded], dim=2)
        attended = self.norm(embedded)
        if self.attention is not None:
            attended = self.attention(attended)
        return self.project(torch.cat([embedded.flatten(2), attended.flatten(2)], -1)), user


def build_feature_layer(
    sizes: Sequence[FieldSize], config: NetworkConfig, left_out: Collection[str] = ()
) -> FeatureLayer:
    """Builds the feature layer that a configuration describes, for the fitted sizes of the fields.

    Args:
        sizes: Of all fitted fields.
        config: Of the model.
        left_out: Fields that the layer does not read.
    """
    return FeatureLayer(
        sizes,
        embedding_dim=config.embedding_dim,
        width=config.width,
        field_attention=config.field_attention,
        field_heads=config.field_heads,
        norm_statistics=config.norm_statistics,
        id_dropout=config.id_dropout,
        left_out=left_out,
    )
