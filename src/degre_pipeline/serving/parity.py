"""Whether the served model ranks as the trained generator does on requests encoded for training."""

from collections.abc import Iterator, Sequence
from itertools import islice

import torch
from torch import Tensor

from degre_pipeline.reranker.batching import Requests
from degre_pipeline.reranker.configs import TrainedWeights
from degre_pipeline.reranker.models.builders import restore_decoding

TIE = 1e-4
"""Two log-probabilities closer than this are a tie: padding alone moves them by rounding errors."""


def check_parity(served: Sequence[Sequence[int]], requests: Requests, generator: TrainedWeights) -> None:
    """Checks that served lists are those of the trained generator, up to ties; see `differing_lists`.

    Raises: ValueError: Naming the first request whose list differs.
    """
    for row, own, wanted in differing_lists(served, requests, generator):
        raise ValueError(
            f"request {int(requests.request_id[row])}: the served model ranks candidates {own}; "
            f"allowed: {wanted}, as the trained generator does; were features encoded differently?"
        )


def differing_lists(
    served: Sequence[Sequence[int]], requests: Requests, generator: TrainedWeights, batch_size: int = 256
) -> Iterator[tuple[int, list[int], list[int]]]:
    """Yields the row, the served and the trained list where the two differ, other than at a tie.

    Args:
        served: Candidate indices of each list, without padding.
        requests: The same requests as the training pipeline encoded them.
        generator: The trained generator.
        batch_size: Requests decoded together.
    """
    model = restore_decoding(generator)
    rows = iter(enumerate(served))
    for batch in requests.batches(batch_size):
        trained, steps = model.decode(batch.static, batch.candidates, batch.mask)
        lists = unpadded(trained)
        for place, (row, own) in enumerate(islice(rows, len(batch))):
            if list(own) != lists[place] and not _parted_at_a_tie(list(own), lists[place], steps[place]):
                yield row, list(own), lists[place]


def count_differing(served: Sequence[Sequence[int]], requests: Requests, generator: TrainedWeights) -> int:
    """Returns how many lists are not those of the trained generator; see `differing_lists`."""
    return sum(1 for _ in differing_lists(served, requests, generator))


def unpadded(sequences: Tensor) -> list[list[int]]:
    """Returns lists of candidate indices, [b, L] with -1 at the end of shorter ones, without padding."""
    return [[index for index in row if index >= 0] for row in sequences.tolist()]


def _parted_at_a_tie(own: list[int], wanted: list[int], steps: Tensor) -> bool:
    """Returns whether the first difference is between equally probable candidates, by the steps [L, n]."""
    if len(own) != len(wanted):
        return False
    slot = next(slot for slot, pair in enumerate(zip(own, wanted, strict=True)) if pair[0] != pair[1])
    return bool(torch.isclose(steps[slot, own[slot]], steps[slot, wanted[slot]], rtol=0, atol=TIE))
