"""Beam search over lists with the Lookahead Evaluator, each prefix encoded once."""

from dataclasses import dataclass

import torch
from torch import Tensor

from degre_pipeline.reranker.batching import Requests, gather_candidates
from degre_pipeline.reranker.configs import require
from degre_pipeline.reranker.models.evaluator import Cache, LookaheadEvaluator, slot_value


@dataclass(frozen=True)
class LookaheadSequences:
    """What a search found, best sequence first.

    Attributes:
        sequences: Candidate indices, [b, k, t] int64; -1 where a list is shorter or a beam does not exist.
        values: Value of each sequence, [b, k]; -inf where a beam does not exist.
        step_values: Value of every one-item extension of each sequence's prefixes, [b, k, t, n]; -inf for
            what could not be chosen. Soft labels are made from these.
        expansions: Prefix extensions that were scored, a count for each request, [b] int64.
    """

    sequences: Tensor
    values: Tensor
    step_values: Tensor
    expansions: Tensor


@dataclass(frozen=True)
class _Beams:
    """The prefixes kept so far, [b, k, ...], and their keys and values, [b * k, t, w] by layer."""

    sequences: Tensor
    values: Tensor
    alive: Tensor
    selectable: Tensor
    step_values: Tensor
    cache: Cache


@torch.no_grad()
def beam_search(
    evaluator: LookaheadEvaluator, requests: Requests, *, beam_size: int, top_k: int = 0
) -> LookaheadSequences:
    """Keeps the `beam_size` best prefixes at every slot by their value, and returns the best lists.

    Ties go to the better prefix, then to the lower candidate index. Candidates are projected once a
    request and only those that are still selectable are scored. A request with fewer candidates than
    slots gives shorter lists.

    Args:
        evaluator: In eval mode.
        requests: Encoded requests, on the evaluator's device.
        beam_size: B.
        top_k: Score only the K remaining candidates with the highest ranking score at each step; 0: all.
    Returns: The B sequences of every request; fewer exist where the candidates allow fewer.
    Raises: ValueError: If beam_size is below one or top_k below zero.
    Source: DeGRe (arXiv 2605.25749), 4.2. Top-K pre-truncation is named there without a definition.
    """
    require(beam_size >= 1, "beam_size", beam_size, "1 or more")
    require(top_k >= 0, "top_k", top_k, "0 (all candidates) or more")
    vectors = evaluator.project(requests.static, requests.candidates)
    beams = _empty_beams(evaluator, requests, vectors)
    expansions = torch.zeros(len(requests), dtype=torch.long, device=vectors.device)
    for slot in range(evaluator.list_length):
        options = _options(beams, requests, slot, top_k)
        logits, own = _score(evaluator, vectors, beams, options, slot)
        possible = beams.selectable.gather(2, options) & beams.alive[..., None]
        expansions += possible.sum((1, 2))
        values = slot_value(logits, slot).masked_fill(~possible, float("-inf"))
        beams = _keep_best(beams, options, values, own, beam_size)
    absent = ~beams.alive[..., None]
    return LookaheadSequences(
        sequences=beams.sequences.masked_fill(absent, -1),
        values=beams.values,
        step_values=beams.step_values.masked_fill(absent[..., None], float("-inf")),
        expansions=expansions,
    )


def _empty_beams(evaluator: LookaheadEvaluator, requests: Requests, vectors: Tensor) -> _Beams:
    b, n = requests.mask.shape
    return _Beams(
        sequences=torch.empty(b, 1, 0, dtype=torch.long, device=vectors.device),
        values=vectors.new_zeros(b, 1),
        alive=torch.ones(b, 1, dtype=torch.bool, device=vectors.device),
        selectable=requests.mask[:, None, :],
        step_values=vectors.new_empty(b, 1, 0, n),
        cache=evaluator.empty_cache(b, vectors),
    )


def _options(beams: _Beams, requests: Requests, slot: int, top_k: int) -> Tensor:
    """Returns the candidates to score for each prefix, [b, k, m], in ascending order of index."""
    n = requests.mask.shape[1]
    most = max(n - slot, 1)
    if top_k:
        most = min(most, top_k)
        score = requests.scores[:, None, :].masked_fill(~beams.selectable, float("-inf"))
        return score.argsort(dim=-1, descending=True, stable=True)[..., :most].sort(-1).values
    return (~beams.selectable).to(torch.uint8).argsort(dim=-1, stable=True)[..., :most]


def _score(
    evaluator: LookaheadEvaluator, vectors: Tensor, beams: _Beams, options: Tensor, slot: int
) -> tuple[Tensor, Cache]:
    b, k, _ = options.shape
    alternatives = gather_candidates(vectors, options).flatten(0, 1)
    logits, own = evaluator.step(alternatives, beams.cache, slot)
    return logits.unflatten(0, (b, k)), own


def _keep_best(beams: _Beams, options: Tensor, values: Tensor, own: Cache, beam_size: int) -> _Beams:
    b, k, m = values.shape
    n = beams.selectable.shape[-1]
    finished = ~values.isfinite().any(-1) & beams.alive
    scored = values.new_full((b, k, n), float("-inf")).scatter_(2, options, values)
    ranked = torch.where(finished[..., None], beams.values[..., None], values)
    first_only = torch.arange(m, device=values.device) > 0
    ranked = ranked.masked_fill(finished[..., None] & first_only, float("-inf"))
    order = ranked.flatten(1).sort(dim=-1, descending=True, stable=True)
    kept, flat = order.values[:, :beam_size], order.indices[:, :beam_size]
    parent, option = flat // m, flat % m
    rows = torch.arange(b, device=values.device)[:, None]
    grew = kept.isfinite() & ~finished[rows, parent]
    choice = torch.where(grew, options[rows, parent, option], -1)
    used = choice[..., None] == torch.arange(n, device=values.device)
    return _Beams(
        sequences=torch.cat([beams.sequences[rows, parent], choice[..., None]], -1),
        values=kept,
        alive=kept.isfinite(),
        selectable=beams.selectable[rows, parent] & ~used,
        step_values=torch.cat([beams.step_values[rows, parent], scored[rows, parent][:, :, None]], 2),
        cache=_extend(beams.cache, own, (rows * k + parent).flatten(), option.flatten()),
    )


def _extend(cache: Cache, own: Cache, prefix: Tensor, option: Tensor) -> Cache:
    """Returns the keys and values of the kept extensions: their prefix's and their own."""

    def grow(past: Tensor, new: Tensor) -> Tensor:
        return torch.cat([past[prefix], new[prefix, option][:, None]], 1)

    return [
        (grow(keys, key), grow(values, value))
        for (keys, values), (key, value) in zip(cache, own, strict=True)
    ]


@torch.no_grad()
def beam_search_by_reencoding(
    evaluator: LookaheadEvaluator, requests: Requests, *, beam_size: int
) -> tuple[Tensor, Tensor]:
    """The same search with every prefix encoded anew: the slow reference of `beam_search`.

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
        scored = slot_value(evaluator.logits_of(lists)[:, -1], slot).view(b, k, n)
        repeated = (sequences[..., None] == torch.arange(n)).any(-2)
        allowed = ~repeated & requests.mask[:, None] & values.isfinite()[..., None]
        scored = scored.masked_fill(~allowed, float("-inf"))
        best = scored.flatten(1).sort(dim=-1, descending=True, stable=True)
        values, flat = best.values[:, :beam_size], best.indices[:, :beam_size]
        sequences = grown.flatten(1, 2)[rows, flat]
    return sequences, values
