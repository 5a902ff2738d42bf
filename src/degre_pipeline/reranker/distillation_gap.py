"""Where along a list the generator leaves its teacher, and what each of its choices costs."""

from dataclasses import dataclass

import torch
from torch import Tensor

from degre_pipeline.reranker.models.evaluator import Evaluator
from degre_pipeline.reranker.models.generator import OnlineGenerator
from degre_pipeline.reranker.requests import Requests
from degre_pipeline.reranker.search.beam import beam_search


@dataclass(frozen=True)
class Completions:
    """What a beam makes of every prefix of one list of each request.

    Attributes:
        next_items: Candidate that follows the first t items in the best completion, [b, t] for t from 0; -1
            where none is left.
        values: Value of the best completion of the first t items, [b, t + 1]; the last is the list's own.
    """

    next_items: Tensor
    values: Tensor


@dataclass(frozen=True)
class StepGap:
    """The distillation gap by slot, [b, t] each; NaN past the end of a list.

    Attributes:
        agrees_on_teachers_prefix: 1 where the greedy choice after the teacher's items is the teacher's next.
        agrees_on_own_prefix: 1 where the greedy choice after its own items is the next of their completion.
        value_lost: Value of the best completion before the choice less that after it, by the teacher.
    """

    agrees_on_teachers_prefix: Tensor
    agrees_on_own_prefix: Tensor
    value_lost: Tensor


def best_completions(
    evaluator: Evaluator, requests: Requests, sequences: Tensor, *, beam_size: int, top_k: int = 0
) -> Completions:
    """Completes every prefix of one list of each request by a beam search.

    Args:
        evaluator: In eval mode.
        requests: On the evaluator's device.
        sequences: Candidate indices, [b, t]; -1 at the end of shorter lists.
        beam_size: B of the completions.
        top_k: As in `beam_search`.
    """
    slots = sequences.shape[1]
    found = [
        beam_search(evaluator, requests, beam_size=beam_size, top_k=top_k, given=sequences[:, :slot])
        for slot in range(slots + 1)
    ]
    return Completions(
        next_items=torch.stack([found[slot].sequences[:, 0, slot] for slot in range(slots)], 1),
        values=torch.stack([one.values[:, 0] for one in found], 1),
    )


@torch.no_grad()
def step_gap(
    generator: OnlineGenerator,
    evaluator: Evaluator,
    requests: Requests,
    *,
    teacher: Tensor,
    own: Tensor,
    beam_size: int,
    top_k: int = 0,
) -> StepGap:
    """Compares generator and teacher at every slot, on the teacher's prefixes and on the generator's own.

    The values lost at the slots of a list add up to what it stays below the beam's best list.

    Args:
        generator: In eval mode, on the evaluator's device.
        evaluator: The teacher's.
        requests: On the same device.
        teacher: The teacher's best list, [b, t]; -1 at the end of shorter ones.
        own: The list that the generator decodes greedily, [b, t].
        beam_size: B of the completions.
        top_k: As in `beam_search`.
    """
    forced = generator(requests.static, requests.candidates, requests.mask, teacher[:, None])[:, 0]
    completed = best_completions(evaluator, requests, own, beam_size=beam_size, top_k=top_k)
    lost = completed.values[:, :-1] - completed.values[:, 1:]
    return StepGap(
        agrees_on_teachers_prefix=_known(forced.argmax(-1) == teacher, teacher),
        agrees_on_own_prefix=_known(own == completed.next_items, own),
        value_lost=_known(lost, own),
    )


def _known(figures: Tensor, sequences: Tensor) -> Tensor:
    """Returns the figures as numbers, NaN past the end of a list."""
    return figures.float().masked_fill(sequences < 0, float("nan"))
