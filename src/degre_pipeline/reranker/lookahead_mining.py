"""Mines the lookahead sequences of many requests."""

from collections.abc import Iterable

import torch
from torch import Tensor
from tqdm.auto import tqdm

from degre_pipeline.reranker.checked_settings import require
from degre_pipeline.reranker.models.evaluator import Evaluator
from degre_pipeline.reranker.models.stored_models import TrainedWeights, restore_miner
from degre_pipeline.reranker.requests import Requests
from degre_pipeline.reranker.schema import ROLES, SPLITS
from degre_pipeline.reranker.search.mining_config import MiningConfig
from degre_pipeline.reranker.search.strategies import build_search, requests_at_once
from degre_pipeline.reranker.training.compilation import fuse_steps, step_work
from degre_pipeline.reranker.training.loop import autocast, choose_device

MOST_ASKED = 20_000
"""Requests whose clicks are asked whether other lists than the shown ones are better."""


def prepare_miner(
    trained: TrainedWeights, requests: Requests, config: MiningConfig, searched: int
) -> Evaluator:
    """Returns the evaluator on its device, its step compiled where so many requests make that pay."""
    check_search(requests, config)
    n = requests.mask.shape[1]
    evaluator = restore_miner(trained).to(choose_device(config.device))
    steps = config.beam_size * (config.top_k or n) * requests.list_length
    if config.strategy == "bounded":
        steps = config.most_expansions
    fuse_steps(evaluator, config.compile, step_work(evaluator) * steps * searched)
    return evaluator


def check_search(requests: Requests, config: MiningConfig) -> None:
    """Raises ValueError if the search asks for more candidates than there are."""
    n = requests.mask.shape[1]
    require(config.top_k <= n, "top_k", config.top_k, f"0 to {n}, the number of candidates")


def rows_to_mine(requests: Requests, config: MiningConfig) -> Tensor:
    """Returns the rows of the training, then of the validation requests that are mined.

    Raises: ValueError: If there are none of either.
    """
    role = requests.role == ROLES.index("mining")
    training = ((requests.split == SPLITS.index("train")) & (role | (config.roles == "all"))).nonzero()[:, 0]
    validation = ((requests.split == SPLITS.index("validation")) & role).nonzero()[:, 0]
    if config.most_requests:
        training = _drawn(training, config.most_requests, config.seed)
        validation = _drawn(validation, max(config.most_requests // 8, 1), config.seed)
    if not len(training) or not len(validation):
        raise ValueError(
            f"{len(training)} training and {len(validation)} validation requests to mine; "
            "allowed: 1 or more of each"
        )
    return torch.cat([training, validation])


def rows_not_learned(requests: Requests) -> Tensor:
    """Returns the rows whose clicks the mining evaluator's weights never saw, but for those of the test.

    They are those of the external role, and those that only end the training.
    """
    held_out = requests.split == SPLITS.index("validation")
    external = (requests.split == SPLITS.index("train")) & (requests.role == ROLES.index("external"))
    return _drawn((held_out | external).nonzero()[:, 0], MOST_ASKED, seed=0)


def _drawn(rows: Tensor, most: int, seed: int) -> Tensor:
    """Returns at most so many rows, drawn at random, in ascending order."""
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))
    return rows[order[:most]].sort().values


def mine(
    evaluator: Evaluator, requests: Requests, rows: Tensor, config: MiningConfig, *, label: str = ""
) -> dict[str, Tensor]:
    """Returns `row`, `sequences`, `values` and `step_values` of the requests at some rows, best first.

    Args:
        evaluator: On the configured device.
        requests: All that the rows count.
        rows: Of the requests that are searched.
        config: Search, batch size and device.
        label: Name on the progress bar; none for short work.
    """
    index_type = torch.int8 if requests.mask.shape[1] < 128 else torch.int32
    search, device = build_search(config), choose_device(config.device)
    together = requests_at_once(config, requests.mask.shape[1], requests.list_length, device)
    bar = tqdm(total=len(rows), desc=label, unit="request", mininterval=1.0, disable=not label)
    found, kept = [], min(config.kept or config.beam_size, config.beam_size)
    with bar, autocast(device, config.bfloat16):
        for batch in requests.select(rows).batches(together):
            found.append(search(evaluator, batch.to(device)).first(kept))
            bar.update(len(batch))
    return {
        "row": rows,
        "sequences": _joined((f.sequences for f in found), kept, -1).to(index_type),
        "values": _joined((f.values.float() for f in found), kept, float("-inf")),
        "step_values": _joined((f.step_values.float() for f in found), kept, float("-inf")),
    }


def _joined(parts: Iterable[Tensor], sequences: int, missing: float) -> Tensor:
    """Returns batches in one tensor, filled up to so many sequences where a batch allowed fewer sequences."""
    filled = []
    for part in parts:
        absent = part.new_full((len(part), sequences - part.shape[1], *part.shape[2:]), missing)
        filled.append(torch.cat([part, absent], 1).cpu())
    return torch.cat(filled).contiguous()
