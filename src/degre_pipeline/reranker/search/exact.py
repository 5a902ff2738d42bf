"""Values every list of a request by prefix sharing: the exact optimum and the exact rank of any list."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from degre_pipeline.reranker.checked_settings import require
from degre_pipeline.reranker.models.evaluator import Cache, Evaluator, extended, remaining
from degre_pipeline.reranker.requests import Requests

ROWS = 8192  # items scored together: enough for the cores, few enough for their caches


@dataclass(frozen=True)
class AllLists:
    """The value of every list of one request, in lexicographic order of the candidate indices.

    Attributes:
        candidates: Indices of the request's real candidates, ascending, [n] int64.
        slots: Items of a list.
        values: [P(n, slots)].
    """

    candidates: Tensor
    slots: int
    values: Tensor

    def __len__(self) -> int:
        return len(self.values)

    def best(self) -> tuple[Tensor, float]:
        """Returns the best list, [slots] candidate indices, and its value; ties go to the lower indices."""
        place = int(self.values.argmax())
        return self.lists_at(torch.tensor([place]))[0], float(self.values[place])

    def lists_at(self, places: Tensor) -> Tensor:
        """Returns the lists at places of the order, [s, slots] candidate indices, of places [s]."""
        return torch.stack([self._list_at(place) for place in places.tolist()])

    def value_of(self, sequences: Tensor) -> Tensor:
        """Returns the values, [s], of lists given as candidate indices, [s, t]; -1 at the end is ignored.

        Raises: ValueError: If a row is no list of this request.
        """
        return self.values[self._places(sequences)]

    def rank_of(self, sequences: Tensor) -> Tensor:
        """Returns how many of all lists are strictly better than each of the given ones, [s]."""
        ordered = self.values.sort().values
        return len(self) - torch.searchsorted(ordered, self.value_of(sequences), right=True)

    def _places(self, sequences: Tensor) -> Tensor:
        chosen = sequences[:, : self.slots].to(self.candidates).contiguous()
        position = torch.searchsorted(self.candidates, chosen).clamp(max=len(self.candidates) - 1)
        repeated = (chosen[:, :, None] == chosen[:, None, :]).sum((1, 2)) > self.slots
        wrong = (self.candidates[position] != chosen).any(1) | repeated
        if bool(wrong.any()):
            shown = sequences[wrong.nonzero()[0, 0]].tolist()
            raise ValueError(
                f"list {shown} is none of the request's; allowed: {self.slots} different candidates of "
                f"{self.candidates.tolist()}"
            )
        place = torch.zeros_like(position[:, 0])
        for slot in range(self.slots):
            below = (position[:, :slot] < position[:, slot : slot + 1]).sum(1)
            place += (position[:, slot] - below) * self._lists_after(slot)
        return place

    def _list_at(self, place: int) -> Tensor:
        left, chosen = self.candidates.tolist(), []
        for slot in range(self.slots):
            index, place = divmod(place, self._lists_after(slot))
            chosen.append(left.pop(index))
        return torch.tensor(chosen)

    def _lists_after(self, slot: int) -> int:
        return math.perm(len(self.candidates) - slot - 1, self.slots - slot - 1)


def tree_size(candidates: int, slots: int) -> int:
    """Returns the prefixes of all lists, each of which is one step of the search: 773,664 for 12 and 6."""
    return sum(math.perm(candidates, depth) for depth in range(1, min(slots, candidates) + 1))


@torch.no_grad()
def all_list_values(
    evaluator: Evaluator, request: Requests, *, most_steps: int = 2_000_000, rows: int = ROWS
) -> AllLists:
    """Values all lists of one request; every prefix is encoded once.

    Memory holds one block of prefixes a depth and the values, whatever the size of the tree.

    Args:
        evaluator: In eval mode.
        request: One request, on the evaluator's device. Padded candidates are left out; with fewer
            candidates than slots, the lists are orders of them all.
        most_steps: Largest tree that is searched.
        rows: Items scored together.
    Returns: The values, on the CPU.
    Raises: ValueError: If there is not one request, it has no candidate, or its tree is larger than
        `most_steps`; the message says how large.
    """
    require(len(request) == 1, "request", len(request), "one request")
    require(rows >= 1, "rows", rows, "1 or more")
    candidates = request.mask[0].nonzero()[:, 0]
    require(len(candidates) >= 1, "candidates", len(candidates), "1 or more")
    slots = min(evaluator.list_length, len(candidates))
    check_tree_size(len(candidates), slots, most_steps)
    vectors = evaluator.project(request.static, request.candidates)[0, candidates]
    start = torch.empty(1, 0, dtype=torch.long, device=vectors.device)
    found = _visit(evaluator, vectors, start, evaluator.empty_cache(1, vectors), slots=slots, rows=rows)
    return AllLists(candidates.cpu(), slots, torch.cat([values.cpu() for values in found]))


def check_tree_size(candidates: int, slots: int, most_steps: int) -> None:
    """Raises ValueError if the tree of all lists has more steps than allowed."""
    steps = tree_size(candidates, slots)
    if steps > most_steps:
        raise ValueError(
            f"exact search over {candidates} candidates and {slots} slots takes {steps:,} steps a request; "
            f"allowed: at most {most_steps:,}. Give fewer candidates or a larger budget"
        )


def _visit(
    evaluator: Evaluator, vectors: Tensor, prefixes: Tensor, cache: Cache, *, slots: int, rows: int
) -> Iterator[Tensor]:
    """Yields the values of all lists that begin with the given prefixes, [p, t], in lexicographic order."""
    n, slot = len(vectors), prefixes.shape[1]
    used = (prefixes[..., None] == torch.arange(n, device=prefixes.device)).any(1)
    options = remaining(~used, n - slot)
    values, own = evaluator.extend(vectors[options], cache, slot)
    if slot == slots - 1:
        yield values.flatten()
        return
    m = n - slot
    for block in torch.arange(options.numel(), device=prefixes.device).split(max(rows // (m - 1), 1)):
        parent = block // m
        longer = torch.cat([prefixes[parent], options.flatten()[block, None]], 1)
        yield from _visit(
            evaluator, vectors, longer, extended(cache, own, parent, block % m), slots=slots, rows=rows
        )
