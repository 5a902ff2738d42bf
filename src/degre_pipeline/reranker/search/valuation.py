"""Values many lists of one request, shared prefixes once, and draws the random lists to compare with."""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from degre_pipeline.reranker.checked_settings import require
from degre_pipeline.reranker.models.evaluator import Evaluator, extended, remaining
from degre_pipeline.reranker.requests import Requests, gather_candidates

Lists = NDArray[np.int64]

CHUNK = 2048  # lists encoded together: enough for the cores, few enough for their caches


def random_lists(
    mask: NDArray[np.bool_], request_ids: Lists, count: int, list_length: int, seed: int
) -> Lists:
    """Draws lists uniformly among the ordered subsets of each request's candidates.

    A request always gets the same lists for a seed, whatever other requests are asked for.

    Args:
        mask: True for real candidates, [b, n].
        request_ids: Ids, [b]; ids and seed determine the draw.
        count: Lists a request, S.
        list_length: L.
        seed: Of the comparison set.
    Returns: Candidate indices, [b, S, L]; -1 at the end where a request has fewer than L candidates.
    Source: DeGRe (arXiv 2605.25749), 5.1.3: the comparison set of HR@K%.
    """
    require(count >= 1, "count", count, "1 or more")
    require(list_length <= mask.shape[1], "list_length", list_length, f"at most {mask.shape[1]} candidates")
    drawn = np.empty((len(mask), count, list_length), dtype=np.int64)
    for row, (real, request_id) in enumerate(zip(mask, request_ids.tolist(), strict=True)):
        generator = np.random.Generator(np.random.Philox(key=[seed, request_id % 2**63]))
        keys = generator.random((count, len(real)), dtype=np.float32)
        keys[:, ~real] = np.inf
        drawn[row] = np.argsort(keys, axis=1, kind="stable")[:, :list_length]
        drawn[row, :, int(real.sum()) :] = -1
    return drawn


def random_lists_of(requests: Requests, count: int, seed: int) -> Tensor:
    """Returns the random lists of requests, [b, S, L] candidate indices; see `random_lists`."""
    mask, ids = requests.mask.cpu().numpy(), requests.request_id.cpu().numpy()
    return torch.from_numpy(random_lists(mask, ids, count, requests.list_length, seed))


@torch.no_grad()
def list_values(evaluator: Evaluator, requests: Requests, sequences: Tensor) -> Tensor:
    """Values lists, the expected clicks of each.

    Args:
        evaluator: In eval mode.
        requests: b requests, on the evaluator's device.
        sequences: Candidate indices, [b, s, t]; -1 at the end of shorter lists.
    Returns: [b, s].
    """
    return list_prefix_values(evaluator, requests, sequences)[..., -1]


@torch.no_grad()
def list_prefix_values(evaluator: Evaluator, requests: Requests, sequences: Tensor) -> Tensor:
    """Values every prefix of lists: [b, s, t]; the value of a shorter list stays at its last item's.

    Where a request has many more lists than prefixes of some depth, those prefixes are encoded once and
    every list only from there on; otherwise lists are encoded whole. The numbers are the same.
    """
    vectors = evaluator.project(requests.static, requests.candidates)
    depth = _shared_depth(vectors.shape[1], *sequences.shape[1:])
    safe = sequences.clamp(min=0)
    if depth:
        by_request = [
            _values_sharing_prefixes(evaluator, *pair, depth) for pair in zip(vectors, safe, strict=True)
        ]
        values = torch.stack(by_request)
    else:
        lists = gather_candidates(vectors, safe).flatten(0, 1)
        values = torch.cat([evaluator.values_of(some) for some in lists.split(CHUNK)])
        values = values.unflatten(0, sequences.shape[:2])
    return _carry_forward(values, sequences)


def _shared_depth(candidates: int, count: int, slots: int) -> int:
    """Returns the largest depth with a sixth as many prefixes as there are lists, or fewer; 0 for none."""
    depths = range(1, min(slots, candidates + 1))
    return max((depth for depth in depths if 6 * math.perm(candidates, depth) <= count), default=0)


def _carry_forward(values: Tensor, sequences: Tensor) -> Tensor:
    real = (sequences >= 0).sum(-1, keepdim=True)
    slot = torch.arange(values.shape[-1], device=values.device).minimum((real - 1).clamp(min=0))
    return values.gather(-1, slot) * (real > 0)


def _values_sharing_prefixes(evaluator: Evaluator, vectors: Tensor, lists: Tensor, depth: int) -> Tensor:
    """Returns the prefix values [s, t] of lists [s, t] of one request with item vectors [n, w]."""
    n = len(vectors)
    prefixes, cache = lists.new_empty(1, 0), evaluator.empty_cache(1, vectors)
    row, columns = torch.zeros_like(lists[:, 0]), []
    for slot in range(depth):
        used = (prefixes[..., None] == torch.arange(n, device=lists.device)).any(1)
        options = remaining(~used, n - slot)
        extension, own = evaluator.extend(vectors[options], cache, slot)
        chosen = lists[:, slot]
        row = row * (n - slot) + chosen - (prefixes[row] < chosen[:, None]).sum(1)
        columns.append(extension.flatten()[row])
        every = torch.arange(options.numel(), device=lists.device)
        cache = extended(cache, own, every // (n - slot), every % (n - slot))
        prefixes = torch.cat([prefixes.repeat_interleave(n - slot, 0), options.reshape(-1, 1)], 1)
    rest = [
        evaluator.values_of(vectors[some[:, depth:]], [(keys[rows], values[rows]) for keys, values in cache])
        for some, rows in zip(lists.split(CHUNK), row.split(CHUNK), strict=True)
    ]
    return torch.cat([torch.stack(columns, 1), torch.cat(rest)], 1)
