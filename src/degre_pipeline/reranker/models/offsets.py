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
    adds nothing. Factors of fields of the request are summed, and so are those of the candidate's fields;
    their product is what this user adds to that item.
    Source: biased matrix factorization, Koren, Bell and Volinsky, Computer 42 (2009), on the logit.

    Args:
        sizes: Of all fitted fields.
        names: Fields that are counted, all categorical.
        factors: Width of the factor model; 0 for offsets alone.
    """

    def __init__(self, sizes: Sequence[FieldSize], names: Sequence[str], factors: int) -> None:
        super().__init__()
        static, candidate = ([s for s in sizes if s.per_candidate == side] for side in (False, True))
        self.static_columns, self.candidate_columns = (
            columns_of(side, names) for side in (static, candidate)
        )
        self.static = _tables([size for size in static if size.name in names], factors)
        self.candidate = _tables([size for size in candidate if size.name in names], factors)

    def forward(self, static: Tensor, candidates: Tensor) -> Tensor:
        """Returns what is added to the click logit of each candidate, [b, n, 1].

        Args:
            static: Indices of user and context fields, [b, columns].
            candidates: Indices of item and score fields, [b, n, columns].
        """
        of_request = _summed(self.static, static[..., self.static_columns])
        of_item = _summed(self.candidate, candidates[..., self.candidate_columns])
        if of_request is None or of_item is None:
            both = of_item if of_request is None else of_request[:, None].expand(*candidates.shape[:2], -1)
            assert both is not None
            return both[..., :1]
        of_pair = (of_request[:, None, 1:] * of_item[..., 1:]).sum(-1, keepdim=True)
        return of_request[:, None, :1] + of_item[..., :1] + of_pair


def _tables(sizes: Sequence[FieldSize], factors: int) -> nn.ModuleList:
    """Returns a table for each field: the offset of a value, then its factors."""
    tables = nn.ModuleList()
    for size in sizes:
        table = nn.Embedding(size.indices, 1 + factors)
        nn.init.normal_(table.weight, std=0.1)
        with torch.no_grad():
            table.weight[:, 0] = 0.0
        tables.append(table)
    return tables


def _summed(tables: nn.ModuleList, indices: Tensor) -> Tensor | None:
    """Returns offsets and factors of a value of every field, summed, [..., 1 + factors]; None of no field."""
    known = (indices > 0).unsqueeze(-1)
    parts = [table(indices[..., column]) * known[..., column, :] for column, table in enumerate(tables)]
    return torch.stack(parts).sum(0) if parts else None
