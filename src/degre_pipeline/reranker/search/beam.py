"""Beam search over lists with the Lookahead Evaluator, each prefix encoded once."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from degre_pipeline.reranker.checked_settings import require
from degre_pipeline.reranker.models.evaluator import Cache, Evaluator, extended, remaining
from degre_pipeline.reranker.requests import Requests, gather_candidates


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

    def first(self, most: int) -> LookaheadSequences:
        """Returns the best `most` sequences of every request."""
        return replace(
            self,
            sequences=self.sequences[:, :most],
            values=self.values[:, :most],
            step_values=self.step_values[:, :most],
        )


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
    evaluator: Evaluator,
    requests: Requests,
    *,
    beam_size: int,
    top_k: int = 0,
    orders_per_set: int = 0,
    given: Tensor | None = None,
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
        orders_per_set: Prefixes with the same set of items that are kept at most while there are others;
            0: any number, as in the paper.
        given: Candidate indices with which every list of a request begins, [b, t]; -1 where there is none.
    Returns: The B sequences of every request, best first; fewer exist where the candidates allow fewer.
    Raises: ValueError: If beam_size is below one, or top_k or orders_per_set below zero.
    Source: DeGRe (arXiv 2605.25749), 4.2. Top-K pre-truncation is named there without a definition.
    """
    require(beam_size >= 1, "beam_size", beam_size, "1 or more")
    require(top_k >= 0, "top_k", top_k, "0 (all candidates) or more")
    require(orders_per_set >= 0, "orders_per_set", orders_per_set, "0 (any number) or more")
    vectors = evaluator.project(requests.static, requests.candidates)
    beams = _empty_beams(evaluator, requests, vectors)
    expansions = torch.zeros(len(requests), dtype=torch.long, device=vectors.device)
    for slot in range(evaluator.list_length):
        if given is not None and slot < given.shape[1]:
            options = given[:, None, slot, None].clamp(min=0)  # where a list has ended, nothing is selectable
        else:
            options = _options(beams, requests, slot, top_k)
        values, own = _score(evaluator, vectors, beams, options, slot)
        possible = beams.selectable.gather(2, options) & beams.alive[..., None]
        expansions += possible.sum((1, 2))
        values = values.masked_fill(~possible, float("-inf"))
        beams = _keep_best(beams, options, values, own, beam_size=beam_size, orders_per_set=orders_per_set)
    best = beams.values.sort(dim=-1, descending=True, stable=True).indices
    absent = ~beams.alive[..., None]
    return LookaheadSequences(
        sequences=gather_candidates(beams.sequences.masked_fill(absent, -1), best),
        values=beams.values.gather(1, best),
        step_values=gather_candidates(beams.step_values.masked_fill(absent[..., None], float("-inf")), best),
        expansions=expansions,
    )


def _empty_beams(evaluator: Evaluator, requests: Requests, vectors: Tensor) -> _Beams:
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
    return remaining(beams.selectable, most)


def _score(
    evaluator: Evaluator, vectors: Tensor, beams: _Beams, options: Tensor, slot: int
) -> tuple[Tensor, Cache]:
    b, k, _ = options.shape
    alternatives = gather_candidates(vectors, options).flatten(0, 1)
    values, own = evaluator.extend(alternatives, beams.cache, slot)
    return values.unflatten(0, (b, k)), own


def _keep_best(
    beams: _Beams, options: Tensor, values: Tensor, own: Cache, *, beam_size: int, orders_per_set: int
) -> _Beams:
    b, k, m = values.shape
    n = beams.selectable.shape[-1]
    finished = ~values.isfinite().any(-1) & beams.alive
    scored = values.new_full((b, k, n), float("-inf")).scatter_(2, options, values)
    ranked = torch.where(finished[..., None], beams.values[..., None], values)
    first_only = torch.arange(m, device=values.device) > 0
    ranked = ranked.masked_fill(finished[..., None] & first_only, float("-inf"))
    ordered = ranked.flatten(1).sort(dim=-1, descending=True, stable=True)
    kept, flat = ordered.values, ordered.indices
    if orders_per_set:
        sets = _item_sets(beams.selectable, options, finished).gather(1, flat)
        surplus = _beyond_the_first(sets, orders_per_set).to(torch.uint8)
        # A beam that does not exist never goes before one that does.
        places = surplus.masked_fill(~kept.isfinite(), 2).argsort(dim=-1, stable=True)
        kept, flat = kept.gather(1, places), flat.gather(1, places)
    kept, flat = kept[:, :beam_size], flat[:, :beam_size]
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
        cache=extended(beams.cache, own, (rows * k + parent).flatten(), option.flatten()),
    )


def _item_sets(selectable: Tensor, options: Tensor, finished: Tensor) -> Tensor:
    """Returns a number for the set of items of every extension, [b, k * m]: equal sets, equal numbers."""
    n = selectable.shape[-1]
    draw = torch.Generator().manual_seed(n)
    code = torch.randint(-(2**62), 2**62, (n,), generator=draw).to(options.device)
    used = ((~selectable) * code).sum(-1, keepdim=True)
    return (used + code[options] * ~finished[..., None]).flatten(1)


def _beyond_the_first(sets: Tensor, most: int) -> Tensor:
    """Returns True, [b, f], where a set occurred `most` times before it in its row of sets, [b, f]."""
    by_set = sets.sort(dim=-1, stable=True)
    index = torch.arange(sets.shape[-1], device=sets.device).expand_as(sets)
    begins = torch.ones_like(sets, dtype=torch.bool)
    begins[:, 1:] = by_set.values[:, 1:] != by_set.values[:, :-1]
    occurrence = index - index.masked_fill(~begins, 0).cummax(-1).values
    return torch.zeros_like(begins).scatter(1, by_set.indices, occurrence >= most)


@torch.no_grad()
def extension_values(evaluator: Evaluator, requests: Requests, sequences: Tensor) -> Tensor:
    """Values every one-item extension of every prefix of given sequences.

    Args:
        evaluator: In eval mode.
        requests: b requests, on the evaluator's device.
        sequences: Candidate indices, [b, k, t]; -1 at the end of shorter lists.
    Returns: [b, k, t, n]; -inf for what cannot be chosen, and past the end of a list.
    """
    vectors = evaluator.project(requests.static, requests.candidates)
    b, k, slots = sequences.shape
    n, rows = vectors.shape[1], torch.arange(b * k, device=vectors.device)
    selectable = requests.mask[:, None, :].expand(b, k, n)
    cache, columns = evaluator.empty_cache(b * k, vectors), []
    for slot in range(slots):
        options = remaining(selectable, max(n - slot, 1))
        values, own = evaluator.extend(gather_candidates(vectors, options).flatten(0, 1), cache, slot)
        values = values.unflatten(0, (b, k))
        possible = selectable.gather(2, options) & (sequences[..., slot, None] >= 0)
        values = values.masked_fill(~possible, float("-inf"))
        columns.append(values.new_full((b, k, n), float("-inf")).scatter_(2, options, values))
        chosen = sequences[..., slot, None]
        option = (options == chosen).to(torch.uint8).argmax(-1)
        cache = extended(cache, own, rows, option.flatten())
        selectable = selectable & (torch.arange(n, device=vectors.device) != chosen)
    return torch.stack(columns, 2)
