"""Whether the served model ranks as the trained generator does, in the log's requests and in other shapes."""

from collections.abc import Iterator, Sequence
from itertools import islice

import torch
from torch import Tensor

from degre_pipeline.reranker.models.stored_models import TrainedWeights, restore_decoding
from degre_pipeline.reranker.requests import Requests
from degre_pipeline.serving.model.reranking_model import Decoder

SHAPES = ((1, 1), (1, 2), (3, 1), (1, 7), (17, 5), (64, 13), (5, 40), (2, 128))
"""Requests and candidates that are decoded together: alone, many, few, and more than any log has."""
TIE = 1e-4
"""Two log-probabilities closer than this are a tie: padding alone moves them by rounding errors."""


def check_parity(served: Sequence[Sequence[int]], requests: Requests, generator: TrainedWeights) -> None:
    """Checks that served lists are those of the trained generator, up to ties; see `differing_lists`.

    Raises: ValueError: Naming the first request whose list differs.
    """
    for row, served_list, wanted in differing_lists(served, requests, generator):
        raise ValueError(
            f"request {int(requests.request_id[row])}: the served model ranks candidates {served_list}; "
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
        for place, (row, served_list) in enumerate(islice(rows, len(batch))):
            if list(served_list) != lists[place] and not _parted_at_a_tie(
                list(served_list), lists[place], steps[place]
            ):
                yield row, list(served_list), lists[place]


def count_differing(served: Sequence[Sequence[int]], requests: Requests, generator: TrainedWeights) -> int:
    """Returns how many lists are not those of the trained generator; see `differing_lists`."""
    return sum(1 for _ in differing_lists(served, requests, generator))


def differing_shapes(
    served: Decoder, requests: Requests, generator: TrainedWeights, most_candidates: int
) -> list[tuple[int, int]]:
    """Returns the shapes in which a served program gives other lists than the trained generator.

    A program that was exported for every shape may still be right for one shape only. The requests are the
    log's, cut or repeated to each shape, with every third value unknown and, where there are several, with
    padding.

    Args:
        served: What runs the program.
        requests: Encoded requests, one or more.
        generator: The trained generator.
        most_candidates: N_max of the program.
    """
    model = restore_decoding(generator)
    shapes = [shape for shape in (*SHAPES, (1, most_candidates)) if shape[1] <= most_candidates]
    return [shape for shape in shapes if _differs(served, model, _reshaped(requests, *shape))]


def _reshaped(requests: Requests, b: int, n: int) -> tuple[Tensor, Tensor, Tensor]:
    """Returns static [b, columns], candidates [b, n, columns] and mask [b, n], with padding in one row."""
    rows = torch.arange(b) % len(requests)
    real = requests.candidates[requests.mask]
    places = (torch.arange(b * n) * 7) % len(real)
    candidates = real[places].reshape(b, n, -1).clone()
    candidates.view(-1)[::3] = 0
    mask = torch.ones(b, n, dtype=torch.bool)
    if b > 1:
        mask[b // 2, 1 + n // 2 :] = False
    return requests.static[rows], candidates * mask[..., None], mask


def _differs(served: Decoder, model: Decoder, inputs: tuple[Tensor, Tensor, Tensor]) -> bool:
    sequences, _ = served.decode(*inputs)
    wanted, steps = model.decode(*inputs)
    pairs = zip(unpadded(sequences), unpadded(wanted), steps, strict=True)
    return any(one != other and not _parted_at_a_tie(one, other, step) for one, other, step in pairs)


def unpadded(sequences: Tensor) -> list[list[int]]:
    """Returns lists of candidate indices, [b, L] with -1 at the end of shorter ones, without padding."""
    return [[index for index in row if index >= 0] for row in sequences.tolist()]


def _parted_at_a_tie(served_list: list[int], wanted: list[int], steps: Tensor) -> bool:
    """Returns whether the first difference is between equally probable candidates, by the steps [L, n]."""
    if len(served_list) != len(wanted):
        return False
    slot = next(slot for slot, pair in enumerate(zip(served_list, wanted, strict=True)) if pair[0] != pair[1])
    return bool(torch.isclose(steps[slot, served_list[slot]], steps[slot, wanted[slot]], rtol=0, atol=TIE))
