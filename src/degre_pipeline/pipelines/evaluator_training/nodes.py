"""Trains the evaluator that mines and the external one that only judges, on disjoint requests."""

from dataclasses import replace
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from degre_pipeline.judging.log_support import figures_of, varies
from degre_pipeline.reranker.evaluator_training import train_evaluator
from degre_pipeline.reranker.features import FeatureSpace
from degre_pipeline.reranker.models.model_config import EvaluatorConfig
from degre_pipeline.reranker.models.stored_models import FROM_NOTHING, TrainedWeights
from degre_pipeline.reranker.requests import Requests
from degre_pipeline.reranker.schema import EXTERNAL, MINING
from degre_pipeline.reranker.support import with_head
from degre_pipeline.reranker.training.epoch_records import EpochMiningConfig, EpochRecords, mined_each_epoch
from degre_pipeline.reranker.training.step_configs import EvaluatorTrainingConfig
from degre_pipeline.reranker.training.training_state import Checkpoints


def train_mining_evaluator(
    encoded: Requests,
    feature_space: FeatureSpace,
    log_support: list[dict[str, Any]],
    config: EvaluatorTrainingConfig,
    checkpoints: Checkpoints | None = None,
    start: TrainedWeights = FROM_NOTHING,
) -> tuple[TrainedWeights, pd.DataFrame, dict[str, Tensor]]:
    """Returns the evaluator that guides the search, its training history, and what it mined after each epoch.

    With a place for checkpoints, an interrupted training is continued and a finished one is not repeated.
    What was mined is `request_id` [r] and, by epoch, `sequences` [epochs, r, L] and `values` [epochs, r].
    """
    records = _epoch_records(encoded, config.epoch_mining)
    learned = _learned_from(encoded, config)
    trained, history = train_evaluator(
        learned.of("train", MINING),
        learned.of("validation", MINING),
        sizes=feature_space.sizes(),
        config=_supported(config.model, log_support),
        training=config.training,
        name="mining_evaluator",
        encoding=encoded.encoding,
        calibration=config.calibration,
        records=records,
        checkpoints=checkpoints,
        start=start,
    )
    return trained, pd.DataFrame(history), _mined(records)


def train_external_evaluator(
    encoded: Requests,
    feature_space: FeatureSpace,
    log_support: list[dict[str, Any]],
    config: EvaluatorTrainingConfig,
    checkpoints: Checkpoints | None = None,
    start: TrainedWeights = FROM_NOTHING,
) -> tuple[TrainedWeights, pd.DataFrame]:
    """Returns the evaluator that judges: other requests, another seed, no part in mining or selection."""
    learned = _learned_from(encoded, config)
    trained, history = train_evaluator(
        learned.of("train", EXTERNAL),
        learned.of("validation", EXTERNAL),
        sizes=feature_space.sizes(),
        config=_supported(replace(config.model, members=config.external_members), log_support),
        training=replace(config.training, seed=config.external_seed),
        name="external_evaluator",
        encoding=encoded.encoding,
        calibration=config.calibration,
        checkpoints=checkpoints,
        start=start,
    )
    return trained, pd.DataFrame(history)


def _learned_from(encoded: Requests, config: EvaluatorTrainingConfig) -> Requests:
    if config.lists_without_clicks:
        return encoded
    return encoded.select((encoded.clicks.sum(1) > 0).nonzero()[:, 0])


def _supported(model: EvaluatorConfig, log_support: list[dict[str, Any]]) -> EvaluatorConfig:
    return with_head(model, varied=varies(figures_of(log_support)))


def _epoch_records(requests: Requests, config: EpochMiningConfig) -> EpochRecords | None:
    if not config.requests:
        return None
    held_out = requests.of("validation", MINING)
    order = torch.randperm(len(held_out), generator=torch.Generator().manual_seed(config.seed))
    return mined_each_epoch(held_out.select(order[: config.requests].sort().values), config.beam_size)


def _mined(records: EpochRecords | None) -> dict[str, Tensor]:
    if records is None:
        return {}
    return {"request_id": torch.tensor(records.settings["requests"]), **records.stacked()}
