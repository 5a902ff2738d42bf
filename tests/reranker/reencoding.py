"""The beam search without a cache: slow, short, and what the fast one must equal."""

import torch
from torch import Tensor

from degre_pipeline.reranker.models.evaluator import Evaluator
from degre_pipeline.reranker.requests import Requests, gather_candidates


@torch.no_grad()
def beam_search_by_reencoding(
    evaluator: Evaluator, requests: Requests, *, beam_size: int
) -> tuple[Tensor, Tensor]:
    """The search of `beam_search` with every prefix encoded anew.

    Returns: Sequences [b, k, L] and values [b, k]. Every request must have L candidates or more.
    """
    vectors = evaluator.project(requests.static, requests.candidates)
    b, n = requests.mask.shape
    sequences = torch.empty(b, 1, 0, dtype=torch.long, device=vectors.device)
    values = vectors.new_zeros(b, 1)
    rows = torch.arange(b, device=vectors.device)[:, None]
    for slot in range(evaluator.list_length):
        k = sequences.shape[1]
        grown = torch.cat(
            [sequences[:, :, None].expand(b, k, n, slot), torch.arange(n).expand(b, k, n)[..., None]], -1
        )
        lists = gather_candidates(vectors, grown.flatten(1, 2)).flatten(0, 1)
        scored = evaluator.values_of(lists)[:, -1].view(b, k, n)
        repeated = (sequences[..., None] == torch.arange(n)).any(-2)
        allowed = ~repeated & requests.mask[:, None] & values.isfinite()[..., None]
        scored = scored.masked_fill(~allowed, float("-inf"))
        best = scored.flatten(1).sort(dim=-1, descending=True, stable=True)
        values, flat = best.values[:, :beam_size], best.indices[:, :beam_size]
        sequences = grown.flatten(1, 2)[rows, flat]
    return sequences, values
