"""The lists that are compared: what every subject would show for the same requests."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from degre_pipeline.judging import names
from degre_pipeline.judging.evaluation_config import EvaluationConfig
from degre_pipeline.reranker.models.evaluator import Evaluator
from degre_pipeline.reranker.models.generator import Decoding
from degre_pipeline.reranker.requests import Requests
from degre_pipeline.reranker.search.mining_config import MiningConfig
from degre_pipeline.reranker.search.strategies import build_search
from degre_pipeline.reranker.search.valuation import random_lists_of
from degre_pipeline.reranker.support import ranking_order


def lists_of_subjects(
    requests: Requests,
    generator: Decoding,
    evaluator: Evaluator,
    search: MiningConfig,
    config: EvaluationConfig,
) -> dict[str, Tensor]:
    """Returns the list of every subject for every request, [b, L]; -1 at the end of shorter lists.

    The beam is the teacher's own search, as mined.
    """
    search_lists = build_search(search)
    decide: Mapping[str, Callable[[Requests], Tensor]] = {
        names.GENERATOR: lambda batch: generator.decode(batch.static, batch.candidates, batch.mask)[0],
        names.BEAM: lambda batch: search_lists(evaluator, batch).sequences[:, 0],
        names.RANKING_ORDER: ranking_order,
        names.RANDOM: lambda batch: one_random_list(batch, config.seed + 1),
        names.EXPOSED: lambda batch: batch.shown,
    }
    device = next(generator.parameters()).device
    batches = [batch.to(device) for batch in requests.batches(config.batch_size)]
    return {name: torch.cat([decide[name](batch).cpu() for batch in batches]) for name in names.SUBJECTS}


def one_random_list(requests: Requests, seed: int) -> Tensor:
    """Returns one uniformly random list for each request, [b, L]."""
    return random_lists_of(requests, 1, seed)[:, 0]
