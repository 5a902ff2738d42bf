"""The ways to search for lists, behind one setting and with one interface."""

import math
from collections.abc import Callable

import torch

from degre_pipeline.reranker.models.evaluator import Evaluator
from degre_pipeline.reranker.requests import Requests
from degre_pipeline.reranker.search.beam import LookaheadSequences, beam_search, extension_values
from degre_pipeline.reranker.search.exact import ROWS, all_list_values, tree_size
from degre_pipeline.reranker.search.mining_config import MiningConfig

Search = Callable[[Evaluator, Requests], LookaheadSequences]


def build_search(config: MiningConfig) -> Search:
    """Returns the search that a configuration describes."""
    if config.strategy == "bounded":
        return lambda evaluator, requests: bounded_search(
            evaluator,
            requests,
            beam_size=config.beam_size,
            most_expansions=config.most_expansions,
            top_k=config.top_k,
        )
    orders_per_set = config.orders_per_set if config.strategy == "diverse_beam" else 0
    return lambda evaluator, requests: beam_search(
        evaluator,
        requests,
        beam_size=config.beam_size,
        top_k=config.top_k,
        orders_per_set=orders_per_set,
    )


@torch.no_grad()
def bounded_search(
    evaluator: Evaluator,
    requests: Requests,
    *,
    beam_size: int,
    most_expansions: int,
    top_k: int = 0,
) -> LookaheadSequences:
    """Finds the best `beam_size` lists within a budget of scored prefixes: all lists, or the widest beam.

    Where the budget covers the tree of all lists (and top_k does not cut it), the result is exact.

    Args:
        evaluator: In eval mode.
        requests: On the evaluator's device.
        beam_size: Sequences that are returned.
        most_expansions: Scored prefixes a request.
        top_k: As in `beam_search`.
    Returns: As `beam_search`; never narrower than a beam of one, whatever the budget.
    """
    n = requests.mask.shape[1]
    if not top_k and tree_size(n, evaluator.list_length) <= most_expansions:
        return _exact_search(evaluator, requests, beam_size, most_expansions)
    options = [min(n - slot, top_k or n) for slot in range(min(evaluator.list_length, n))]
    found = beam_search(evaluator, requests, beam_size=widest_beam(options, most_expansions), top_k=top_k)
    return LookaheadSequences(
        found.sequences[:, :beam_size],
        found.values[:, :beam_size],
        found.step_values[:, :beam_size],
        found.expansions,
    )


def widest_beam(options: list[int], most_expansions: int) -> int:
    """Returns the largest beam whose expansions fit a budget; 1 where none does.

    Args:
        options: Candidates to choose from at each slot.
        most_expansions: The budget.
    """
    low, high = 1, max(min(most_expansions, math.prod(options[:-1])), 1)
    while low < high:
        middle = (low + high + 1) // 2
        if beam_expansions(options, middle) <= most_expansions:
            low = middle
        else:
            high = middle - 1
    return low


def beam_expansions(options: list[int], beam_size: int) -> int:
    """Returns the prefixes that a beam scores: 372 for a beam of 8 over 12 candidates and 6 slots."""
    total, beams = 0, 1
    for choices in options:
        total += beams * choices
        beams = min(beams * choices, beam_size)
    return total


def requests_at_once(config: MiningConfig, candidates: int, list_length: int, device: torch.device) -> int:
    """Returns the requests to search together: the setting, or as many as the device works on best.

    On a CPU their items fit the caches; on a GPU they fill it.
    """
    if config.batch_size:
        return config.batch_size
    beams = config.beam_size
    if config.strategy == "bounded":
        options = [candidates - slot for slot in range(min(list_length, candidates))]
        beams = widest_beam(options, config.most_expansions)
    rows = ROWS if device.type == "cpu" else 64 * ROWS
    return max(rows // (beams * (config.top_k or candidates)), 1)


def _exact_search(
    evaluator: Evaluator, requests: Requests, beam_size: int, most_steps: int
) -> LookaheadSequences:
    b, slots = len(requests), evaluator.list_length
    sequences = torch.full((b, beam_size, slots), -1)
    values = torch.full((b, beam_size), float("-inf"))
    expansions = torch.zeros(b, dtype=torch.long)
    for row in range(b):
        found = all_list_values(evaluator, requests.select(slice(row, row + 1)), most_steps=most_steps)
        best = found.values.sort(descending=True, stable=True)
        kept = min(beam_size, len(found))
        sequences[row, :kept, : found.slots] = found.lists_at(best.indices[:kept])
        values[row, :kept] = best.values[:kept].float()
        expansions[row] = tree_size(len(found.candidates), found.slots)
    device = requests.mask.device
    sequences, values, expansions = sequences.to(device), values.to(device), expansions.to(device)
    return LookaheadSequences(sequences, values, extension_values(evaluator, requests, sequences), expansions)
