"""Trains the evaluator that mines and the external one that only judges, on disjoint requests."""

from dataclasses import replace
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from degre_pipeline.judging.log_support import figures_of, varies
from degre_pipeline.reranker.checked_settings import require
from degre_pipeline.reranker.evaluator_training import train_evaluator
from degre_pipeline.reranker.features import FeatureSpace
from degre_pipeline.reranker.head_choice import HeadChoiceConfig, HeadRow, choose_head, with_head
from degre_pipeline.reranker.models.model_config import EvaluatorConfig
from degre_pipeline.reranker.models.stored_models import FROM_NOTHING, TrainedWeights
from degre_pipeline.reranker.requests import Requests
from degre_pipeline.reranker.schema import EXTERNAL, MINING
from degre_pipeline.reranker.training.epoch_records import EpochMiningConfig, EpochRecords, mined_each_epoch
from degre_pipeline.reranker.training.training_config import TrainingConfig
from degre_pipeline.reranker.training.training_state import Checkpoints

NOTHING_MINED = EpochMiningConfig(requests=0)


def choose_evaluator_head(
    encoded: Requests,
    feature_space: FeatureSpace,
    log_support: list[dict[str, Any]],
    model: EvaluatorConfig,
    training: TrainingConfig,
    choice: HeadChoiceConfig,
    lists_without_clicks: bool = True,
    checkpoints: Checkpoints | None = None,
) -> list[HeadRow]:
    """Returns the heads that were considered for both evaluators; none where the settings name one.

    Requests of the mining role are learned from and compared on; the external evaluator gets the same head.
    """
    learned = _learned_from(encoded, lists_without_clicks)
    return choose_head(
        learned.of("train", MINING),
        learned.of("validation", MINING),
        varied=varies(figures_of(log_support)),
        sizes=feature_space.sizes(),
        config=model,
        training=training,
        choice=choice,
        encoding=encoded.encoding,
        checkpoints=checkpoints,
    )


def train_mining_evaluator(
    encoded: Requests,
    feature_space: FeatureSpace,
    head_choice: list[HeadRow],
    model: EvaluatorConfig,
    training: TrainingConfig,
    lists_without_clicks: bool = True,
    calibration: bool = False,
    checkpoints: Checkpoints | None = None,
    epoch_mining: EpochMiningConfig = NOTHING_MINED,
    start: TrainedWeights = FROM_NOTHING,
) -> tuple[TrainedWeights, pd.DataFrame, dict[str, Tensor]]:
    """Returns the evaluator that guides the search, its training history, and what it mined after each epoch.

    With a place for checkpoints, an interrupted training is continued and a finished one is not repeated.
    What was mined is `request_id` [r] and, by epoch, `sequences` [epochs, r, L] and `values` [epochs, r].
    """
    records = _epoch_records(encoded, epoch_mining)
    trained, history = _train(
        MINING,
        encoded,
        feature_space,
        head_choice,
        model,
        training,
        checkpoints,
        lists_without_clicks=lists_without_clicks,
        calibration=calibration,
        start=start,
        records=records,
    )
    return trained, history, _mined(records)


def train_external_evaluator(
    encoded: Requests,
    feature_space: FeatureSpace,
    head_choice: list[HeadRow],
    model: EvaluatorConfig,
    training: TrainingConfig,
    external_seed: int,
    external_members: int = 1,
    lists_without_clicks: bool = True,
    calibration: bool = False,
    checkpoints: Checkpoints | None = None,
    start: TrainedWeights = FROM_NOTHING,
) -> tuple[TrainedWeights, pd.DataFrame]:
    """Returns the evaluator that judges: other requests, another seed, no part in mining or selection."""
    require(external_seed != training.seed, "external_seed", external_seed, "any but the training seed")
    return _train(
        EXTERNAL,
        encoded,
        feature_space,
        head_choice,
        replace(model, members=external_members),
        replace(training, seed=external_seed),
        checkpoints,
        lists_without_clicks=lists_without_clicks,
        calibration=calibration,
        start=start,
    )


def _train(
    role: str,
    encoded: Requests,
    feature_space: FeatureSpace,
    head_choice: list[HeadRow],
    config: EvaluatorConfig,
    training: TrainingConfig,
    checkpoints: Checkpoints | None,
    *,
    lists_without_clicks: bool,
    calibration: bool,
    start: TrainedWeights,
    records: EpochRecords | None = None,
) -> tuple[TrainedWeights, pd.DataFrame]:
    config = with_head(config, head_choice)
    encoded = _learned_from(encoded, lists_without_clicks)
    trained, history = train_evaluator(
        encoded.of("train", role),
        encoded.of("validation", role),
        sizes=feature_space.sizes(),
        config=config,
        training=training,
        name=f"{role}_evaluator",
        encoding=encoded.encoding,
        calibration=calibration,
        records=records,
        checkpoints=checkpoints,
        start=start,
    )
    return trained, pd.DataFrame(history)


def _learned_from(encoded: Requests, lists_without_clicks: bool) -> Requests:
    return encoded if lists_without_clicks else encoded.select((encoded.clicks.sum(1) > 0).nonzero()[:, 0])


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
