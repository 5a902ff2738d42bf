"""Point-wise references: what orders the clicks of exposed lists by user and item alone."""

from dataclasses import replace

import torch
from torch import Tensor

from degre_pipeline.judging import names
from degre_pipeline.judging.evaluation_config import EvaluationConfig
from degre_pipeline.reranker.models.stored_models import restore_ranking_model
from degre_pipeline.reranker.ranking_stage import RankingStageConfig, train_ranking_model
from degre_pipeline.reranker.replay import click_rates
from degre_pipeline.reranker.requests import Requests, gather_candidates
from degre_pipeline.reranker.schema import RANKING_SCORE, FieldSize
from degre_pipeline.simulation.click_world import FloatArray

LEARNING_RATE = 5e-3
"""Of the factor model, which has nothing but tables to learn."""


def click_references(
    requests: Requests, users: Tensor, items: Tensor, config: EvaluationConfig
) -> dict[str, FloatArray]:
    """Returns the scores that each reference gives to the exposed items of test requests, [b, t].

    They are the ranking score, an item's click rate and a biased matrix factorization of users and items. The
    last two learn from all training requests, of whichever role. A model of whole lists that orders the items
    of one list no better than they do has learned nothing that a search could use.

    Args:
        requests: All requests, in the order of `users` and `items`.
        users: A number for the user of each, [r], 0 or more.
        items: A number for the item of every candidate, [r, n], 0 where there is none.
        config: Device and seed.
    Source: biased matrix factorization, Koren, Bell and Volinsky, Computer 42 (2009), on a click's logit.
    """
    ids = replace(requests, static=users[:, None] + 1, candidates=items[..., None])
    learned, asked = ids.of("train"), ids.of("test")
    rates = click_rates(asked.candidates[..., 0], learned.candidates[..., 0], learned)
    return {
        name: scores.gather(1, asked.exposed).double().numpy()
        for name, scores in (
            (RANKING_SCORE, asked.scores),
            (names.ITEM_MEAN, rates),
            (names.FACTOR_MODEL, _by_factors(ids, learned, asked, config)),
        )
    }


@torch.no_grad()
def _by_factors(ids: Requests, learned: Requests, asked: Requests, config: EvaluationConfig) -> Tensor:
    """Returns the logits of a factor model, [b, n]; items that were never shown in training are unknown."""
    shown = gather_candidates(learned.candidates, learned.exposed)[learned.exposed_mask]
    asked = replace(
        asked, candidates=asked.candidates.where(torch.isin(asked.candidates, shown), torch.tensor(0))
    )
    sizes = [
        FieldSize("user_id", "categorical", "user", 1, int(ids.static.max()) + 1, additive=True),
        FieldSize("item_id", "categorical", "item", 1, int(ids.candidates.max()) + 1, additive=True),
    ]
    stage = RankingStageConfig(learning_rate=LEARNING_RATE, device=config.device, seed=config.seed)
    with torch.enable_grad():
        stored = train_ranking_model(learned, sizes, stage)
    logits: Tensor = restore_ranking_model(stored)(asked.static, asked.candidates)
    return logits
