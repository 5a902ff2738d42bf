"""Trains what tells logged lists from mined ones, so that a search keeps near what the log has shown."""

from dataclasses import replace

import torch

from degre_pipeline.reranker.evaluator_training import train_evaluator
from degre_pipeline.reranker.lookahead_mining import mine
from degre_pipeline.reranker.models.model_config import EvaluatorConfig
from degre_pipeline.reranker.models.stored_models import (
    TrainedWeights,
    restore_evaluator,
    sizes_of,
    with_discriminator,
)
from degre_pipeline.reranker.requests import Requests
from degre_pipeline.reranker.search.mining_config import MiningConfig
from degre_pipeline.reranker.training.loop import choose_device
from degre_pipeline.reranker.training.training_config import TrainingConfig
from degre_pipeline.reranker.training.training_state import Checkpoints

MOST_REQUESTS = 20_000
"""Training requests that are mined for it, and an eighth as many that end its training."""

BEAM_SIZE = 8


def held_back_by_log(
    evaluator: TrainedWeights,
    learn: Requests,
    check: Requests,
    *,
    training: TrainingConfig,
    name: str,
    checkpoints: Checkpoints | None = None,
) -> TrainedWeights:
    """Returns an evaluator whose search counts, besides clicks, how close a list is to those of the log.

    A discriminator learns to tell the exposed list of a request from the list that the evaluator likes best.

    Args:
        evaluator: A trained one; its settings say what a nat of closeness is worth, `pessimism`.
        learn: Requests that it learned from.
        check: Requests that decide when to stop.
        training: How the discriminator is trained.
        name: Of the training: on the progress bar and among the checkpoints.
        checkpoints: Where an interrupted training is continued from, and a finished one found.
    Source: EG-Rerank+ (arXiv 2003.11941). Differs: the discriminator is trained once, on what a search finds,
        and its reward acts in the search; there it is trained in turns with a generator.
    """
    shape = EvaluatorConfig(**evaluator.config["settings"])
    discriminator, _ = train_evaluator(
        _logged_and_mined(evaluator, learn.select(slice(0, MOST_REQUESTS)), training),
        _logged_and_mined(evaluator, check.select(slice(0, MOST_REQUESTS // 8)), training),
        sizes=sizes_of(evaluator),
        config=replace(shape.single, head="discriminator", pessimism=0.0),
        training=training,
        name=name,
        encoding=learn.encoding,
        checkpoints=checkpoints,
    )
    return with_discriminator(evaluator, discriminator, shape.pessimism)


def _logged_and_mined(evaluator: TrainedWeights, requests: Requests, training: TrainingConfig) -> Requests:
    """Returns each request twice: its exposed list, every slot clicked, and its mined one, none clicked."""
    device = choose_device(training.device)
    search = MiningConfig(strategy="diverse_beam", beam_size=BEAM_SIZE, kept=1, device=training.device)
    found = mine(
        restore_evaluator(evaluator).to(device),
        requests,
        torch.arange(len(requests)),
        search,
        label="lists to tell from the log",
    )
    logged = replace(requests, clicks=requests.exposed_mask.float())
    return logged.joined(requests.showing(found["sequences"][:, 0].long()))
