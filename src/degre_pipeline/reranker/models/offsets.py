"""What the values of some fields add to a click by themselves, apart from the network that learns company."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from degre_pipeline.reranker.models.feature_layer import columns_of
from degre_pipeline.reranker.schema import FieldSize


class ValueOffsets(nn.Module):
    """A number for every value of some fields, and a small factor model of a request's and an item's values.

    Ids that lower the loss inside a network also give a search new places where it errs. As numbers added to
    the logit of a click they cannot: an item's offset is the same in every list. Index 0 (unknown, missing)
    adds nothing. The m tags of a tags field, such as the items that a user liked before, add the sum of their
    numbers over the root of m. Factors of fields of the request are summed, and so are those of the
    candidate's fields; their product is what this user adds to that item. Factors of the request start at 0:
    a user of whom nothing was learned adds nothing.
    Source: biased matrix factorization, Koren, Bell and Volinsky, Computer 42 (2009), on the logit; tags as
    the items of a user in SVD++, Koren (KDD 2008).

    Args:
        sizes: Of all fitted fields.
        names: Fields that are counted, none of them numeric.
        factors: Width of the factor model; 0 for offsets alone.
    """

    def __init__(self, sizes: Sequence[FieldSize], names: Sequence[str], factors: int) -> None:
        super().__init__()
        static, candidate = ([s for s in sizes if s.per_candidate == side] for side in (False, True))
        self.static_columns, self.candidate_columns = (
            columns_of(side, names) for side in (static, candidate)
        )
        of_request, of_item = ([size for size in side if size.name in names] for side in (static, candidate))
        self.static_widths, self.candidate_widths = (
            [size.columns for size in side] for side in (of_request, of_item)
        )
        self.static, self.candidate = _tables(of_request, factors, 0.0), _tables(of_item, factors, 0.1)

    def forward(self, static: Tensor, candidates: Tensor) -> Tensor:
        """Returns what is added to the click logit of each candidate, [b, n, 1].

        Args:
            static: Indices of user and context fields, [b, columns].
            candidates: Indices of item and score fields, [b, n, columns].
        """
        request_parts, item_parts = self._parts(static, candidates)
        if not request_parts or not item_parts:
            parts = item_parts or [part[:, None].expand(*candidates.shape[:2], -1) for part in request_parts]
            return torch.stack(parts).sum(0)[..., :1]
        of_request, of_item = torch.stack(request_parts).sum(0), torch.stack(item_parts).sum(0)
        of_pair = (of_request[:, None, 1:] * of_item[..., 1:]).sum(-1, keepdim=True)
        return of_request[:, None, :1] + of_item[..., :1] + of_pair

    def squares(self, static: Tensor, candidates: Tensor) -> Tensor:
        """Returns the squares of all numbers that are added to each candidate's logit, summed, [b, n]."""
        request_parts, item_parts = self._parts(static, candidates)
        found = [part.square().sum(-1)[:, None] for part in request_parts]
        found += [part.square().sum(-1) for part in item_parts]
        return torch.stack(torch.broadcast_tensors(*found)).sum(0)

    def _parts(self, static: Tensor, candidates: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Returns offset and factors of each field: [b, 1 + f] of requests, [b, n, 1 + f] of items."""
        return (
            _added(self.static, static[..., self.static_columns], self.static_widths),
            _added(self.candidate, candidates[..., self.candidate_columns], self.candidate_widths),
        )


def _tables(sizes: Sequence[FieldSize], factors: int, spread: float) -> nn.ModuleList:
    """Returns a table for each field: the offset of a value, which starts at 0, then its factors."""
    tables = nn.ModuleList()
    for size in sizes:
        table = nn.Embedding(size.indices, 1 + factors)
        nn.init.normal_(table.weight, std=spread)
        with torch.no_grad():
            table.weight[:, 0] = 0.0
        tables.append(table)
    return tables


def _added(tables: nn.ModuleList, indices: Tensor, widths: Sequence[int]) -> list[Tensor]:
    """Returns what the values of every field add, each [..., 1 + factors]."""
    return [
        _of_values(table, columns) for table, columns in zip(tables, indices.split(widths, -1), strict=True)
    ]


def _of_values(table: nn.Module, indices: Tensor) -> Tensor:
    """Returns the sum of a table's rows over the root of how many are known, [..., 1 + factors]."""
    known = (indices > 0).unsqueeze(-1)
    rows: Tensor = table(indices) * known
    if indices.shape[-1] == 1:
        return rows.squeeze(-2)
    return rows.sum(-2) / known.sum(-2).clamp(min=1).sqrt()
