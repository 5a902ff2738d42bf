"""Trains the evaluator that mines and the external one that only judges, on disjoint requests."""

from dataclasses import replace
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from degre_pipeline.judging.log_support import figures_of, varies
from degre_pipeline.judging.names import EXTERNAL_EVALUATOR, MINING_EVALUATOR
from degre_pipeline.reranker.evaluator_training import train_evaluator
from degre_pipeline.reranker.features import FeatureSpace
from degre_pipeline.reranker.head_choice import FIRST, HeadRow, train_by_data, with_head
from degre_pipeline.reranker.miner_training import ready_to_mine
from degre_pipeline.reranker.models.model_config import EvaluatorConfig
from degre_pipeline.reranker.models.stored_models import FROM_NOTHING, TrainedWeights
from degre_pipeline.reranker.requests import Requests
from degre_pipeline.reranker.schema import EXTERNAL, MINING
from degre_pipeline.reranker.training.epoch_records import EpochMiningConfig, EpochRecords, mined_each_epoch
from degre_pipeline.reranker.training.step_configs import EvaluatorTrainingConfig
from degre_pipeline.reranker.training.training_state import Checkpoints, History


def train_mining_evaluator(
    encoded: Requests,
    feature_space: FeatureSpace,
    log_support: list[dict[str, Any]],
    config: EvaluatorTrainingConfig,
    checkpoints: Checkpoints | None = None,
    start: TrainedWeights = FROM_NOTHING,
) -> tuple[TrainedWeights, pd.DataFrame, dict[str, Tensor], list[HeadRow]]:
    """Returns the evaluator that guides the search, its history, what it mined by epoch, and why its head.

    With a place for checkpoints, an interrupted training is continued and a finished one is not repeated.
    What was mined is `request_id` [r] and, by epoch, `sequences` [epochs, r, L] and `values` [epochs, r].
    The rows of heads are those of `train_by_data`; none where the settings name the head.
    """
    learned = encoded if config.lists_without_clicks else encoded.clicked()
    learn, check = learned.of("train", MINING), learned.of("validation", MINING)
    mined_with: dict[str, dict[str, Tensor]] = {}
    # An earlier evaluator that was several in one goes on as one: members that begin alike would stay alike.
    wanted = config.model.single if config.model.in_one and start.weights else config.model

    def train(model: EvaluatorConfig) -> tuple[TrainedWeights, History]:
        compared = (
            wanted.head == "by_data" and model.members == 1 and (wanted.members > 1 or model.head != FIRST)
        )
        records = _epoch_records(encoded, config.epoch_mining)
        found = train_evaluator(
            learn,
            check,
            sizes=feature_space.sizes(),
            config=model,
            training=config.training,
            name=f"{MINING_EVALUATOR}_{model.head}" if compared else MINING_EVALUATOR,
            encoding=encoded.encoding,
            calibration=config.calibration,
            records=records,
            checkpoints=checkpoints,
            start=start,
        )
        mined_with[model.head] = _mined(records)
        return found

    varied = varies(figures_of(log_support))
    trained, history, rows = train_by_data(train, learn, check, wanted, varied=varied)
    mined = mined_with[trained.config["settings"]["head"]]
    trained = ready_to_mine(
        trained, learn, check, wanted, config.training, name=MINING_EVALUATOR, checkpoints=checkpoints
    )
    return trained, pd.DataFrame(history), mined, rows


def train_external_evaluator(
    encoded: Requests,
    feature_space: FeatureSpace,
    head_choice: list[HeadRow],
    config: EvaluatorTrainingConfig,
    checkpoints: Checkpoints | None = None,
    start: TrainedWeights = FROM_NOTHING,
) -> tuple[TrainedWeights, pd.DataFrame]:
    """Returns the evaluator that judges: other requests, another seed, no part in mining or selection."""
    learned = encoded if config.lists_without_clicks else encoded.clicked()
    trained, history = train_evaluator(
        learned.of("train", EXTERNAL),
        learned.of("validation", EXTERNAL),
        sizes=feature_space.sizes(),
        config=with_head(replace(config.model.single, members=config.external_members), head_choice),
        training=replace(config.training, seed=config.external_seed),
        name=EXTERNAL_EVALUATOR,
        encoding=encoded.encoding,
        calibration=config.calibration,
        checkpoints=checkpoints,
        start=start,
    )
    return trained, pd.DataFrame(history)


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
