"""What a search finds: with each beam, and with the miner as it was after each epoch."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from degre_pipeline.judging import names
from degre_pipeline.judging.diagnostics.agreement import values_by_judge
from degre_pipeline.judging.diagnostics.diagnostic_rows import MINER, Row, rows_along
from degre_pipeline.judging.evaluation_config import EvaluationConfig
from degre_pipeline.judging.judges import Judge
from degre_pipeline.reranker.lookahead_mining import mine, prepare_miner
from degre_pipeline.reranker.models.stored_models import TrainedWeights
from degre_pipeline.reranker.requests import Requests
from degre_pipeline.reranker.search.mining_config import MiningConfig


def mine_with_beams(
    miner: TrainedWeights, requests: Requests, sizes: Sequence[int], search: MiningConfig
) -> dict[int, Tensor]:
    """Returns all lists that a beam of each size finds, best first, [b, B, t]; -1 where one does not exist.

    Args:
        miner: The mining evaluator.
        requests: Those that are searched.
        sizes: Beam sizes.
        search: All else about the search; whatever its strategy, a plain beam is used.
    """
    evaluator = prepare_miner(miner, requests, search, len(requests) * len(sizes))
    rows = torch.arange(len(requests))
    return {
        size: mine(evaluator, requests, rows, replace(search, strategy="beam", beam_size=size, kept=0))[
            "sequences"
        ].long()
        for size in sorted(sizes)
    }


def beam_size_rows(
    requests: Requests, found: Mapping[int, Tensor], judges: Sequence[Judge], config: EvaluationConfig
) -> list[Row]:
    """Returns value and optimism of the best list of each beam size, by judge; the miner is among them."""
    best = torch.stack([sequences[:, 0] for sequences in found.values()], 1)
    return rows_along(names.BEAM_SIZE, list(found), values_by_judge(requests, best, judges), config)


def epoch_rows(
    requests: Requests,
    mined_by_epoch: Mapping[str, Tensor],
    judges: Sequence[Judge],
    config: EvaluationConfig,
) -> list[Row]:
    """Returns value and optimism of the best lists of each epoch's miner, by itself and by the judges.

    Args:
        requests: Those of `request_id`, in its order.
        mined_by_epoch: `request_id` [r], `sequences` [epochs, r, t] and the miner's own `values` [epochs, r].
        judges: All judges; the finished miner is left out, because the lists are those of earlier miners.
        config: Of the intervals.
    """
    sequences = mined_by_epoch["sequences"].long().transpose(0, 1)
    miner_values = mined_by_epoch["values"].double().numpy().T
    other_judges = [judge for judge in judges if judge.name != MINER]
    values = {MINER: miner_values, **values_by_judge(requests, sequences, other_judges)}
    return rows_along(names.EPOCH, range(1, sequences.shape[1] + 1), values, config)
