"""Trains the evaluator that mines and the external one that only judges, on disjoint requests."""

from dataclasses import replace
from typing import Any

import pandas as pd
from torch import Tensor

from degre_pipeline.reranker.batching import Requests
from degre_pipeline.reranker.checkpoints import Checkpoints
from degre_pipeline.reranker.configs import EvaluatorConfig, TrainedWeights, TrainingConfig, require
from degre_pipeline.reranker.evaluator_training import train_evaluator
from degre_pipeline.reranker.features import FeatureSpace
from degre_pipeline.reranker.fingerprints import encoding_of


def train_mining_evaluator(
    request_tensors: dict[str, Tensor],
    feature_space: dict[str, Any],
    model: EvaluatorConfig,
    training: TrainingConfig,
    lists_without_clicks: bool = True,
    calibration: bool = False,
    checkpoints: Checkpoints | None = None,
) -> tuple[TrainedWeights, pd.DataFrame]:
    """Returns the evaluator that guides the search, and its training history.

    With a place for checkpoints, an interrupted training is continued and a finished one is not repeated.
    """
    return _train(
        "mining",
        request_tensors,
        feature_space,
        model,
        training,
        checkpoints,
        lists_without_clicks=lists_without_clicks,
        calibration=calibration,
    )


def train_external_evaluator(
    request_tensors: dict[str, Tensor],
    feature_space: dict[str, Any],
    model: EvaluatorConfig,
    training: TrainingConfig,
    external_seed: int,
    external_members: int = 1,
    lists_without_clicks: bool = True,
    calibration: bool = False,
    checkpoints: Checkpoints | None = None,
) -> tuple[TrainedWeights, pd.DataFrame]:
    """Returns the evaluator that judges: other requests, another seed, no part in mining or selection."""
    require(external_seed != training.seed, "external_seed", external_seed, "any but the training seed")
    return _train(
        "external",
        request_tensors,
        feature_space,
        replace(model, members=external_members),
        replace(training, seed=external_seed),
        checkpoints,
        lists_without_clicks=lists_without_clicks,
        calibration=calibration,
    )


def _train(
    role: str,
    request_tensors: dict[str, Tensor],
    feature_space: dict[str, Any],
    config: EvaluatorConfig,
    training: TrainingConfig,
    checkpoints: Checkpoints | None,
    *,
    lists_without_clicks: bool,
    calibration: bool,
) -> tuple[TrainedWeights, pd.DataFrame]:
    requests = Requests.from_tensors(request_tensors)
    if not lists_without_clicks:
        requests = requests.select((requests.clicks.sum(1) > 0).nonzero()[:, 0])
    trained, history = train_evaluator(
        requests.of("train", role),
        requests.of("validation", role),
        sizes=FeatureSpace.from_dict(feature_space).sizes(),
        config=config,
        training=training,
        name=f"{role}_evaluator",
        encoding=encoding_of(request_tensors),
        calibration=calibration,
        checkpoints=checkpoints,
    )
    return trained, pd.DataFrame(history)
