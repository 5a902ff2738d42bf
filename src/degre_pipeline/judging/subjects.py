"""The lists that are compared: who would show what for the same requests."""

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
        names.GENERATOR: lambda some: generator.decode(some.static, some.candidates, some.mask)[0],
        names.BEAM: lambda some: search_lists(evaluator, some).sequences[:, 0],
        names.RANKING_ORDER: ranking_order,
        names.RANDOM: lambda some: one_random_list(some, config.seed + 1),
        names.EXPOSED: lambda some: some.shown,
    }
    device = next(generator.parameters()).device
    batches = [batch.to(device) for batch in requests.batches(config.batch_size)]
    return {name: torch.cat([decide[name](batch).cpu() for batch in batches]) for name in names.SUBJECTS}


def one_random_list(requests: Requests, seed: int) -> Tensor:
    """Returns one uniformly random list for each request, [b, L]."""
    return random_lists_of(requests, 1, seed)[:, 0]
