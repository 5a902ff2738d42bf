"""Trains the evaluator that mines and the external one that only judges, on disjoint requests."""

from dataclasses import replace
from typing import Any

import pandas as pd
from torch import Tensor

from degre_pipeline.reranker.batching import Requests
from degre_pipeline.reranker.configs import EvaluatorConfig, TrainedWeights, TrainingConfig, require
from degre_pipeline.reranker.features import FeatureSpace
from degre_pipeline.reranker.fingerprints import encoding_of
from degre_pipeline.reranker.models.builders import store
from degre_pipeline.reranker.models.evaluator import build_evaluator
from degre_pipeline.reranker.objectives import evaluator_loss
from degre_pipeline.reranker.training import fit, seeded


def train_mining_evaluator(
    request_tensors: dict[str, Tensor],
    feature_space: dict[str, Any],
    model: EvaluatorConfig,
    training: TrainingConfig,
) -> tuple[TrainedWeights, pd.DataFrame]:
    """Returns the evaluator that guides the search, and its training history."""
    return _train(request_tensors, feature_space, model, training, role="mining")


def train_external_evaluator(
    request_tensors: dict[str, Tensor],
    feature_space: dict[str, Any],
    model: EvaluatorConfig,
    training: TrainingConfig,
    external_seed: int,
) -> tuple[TrainedWeights, pd.DataFrame]:
    """Returns the evaluator that judges: other requests, another seed, no part in mining or selection."""
    require(external_seed != training.seed, "external_seed", external_seed, "any but the training seed")
    return _train(
        request_tensors, feature_space, model, replace(training, seed=external_seed), role="external"
    )


def _train(
    request_tensors: dict[str, Tensor],
    feature_space: dict[str, Any],
    config: EvaluatorConfig,
    training: TrainingConfig,
    role: str,
) -> tuple[TrainedWeights, pd.DataFrame]:
    requests = Requests.from_tensors(request_tensors)
    sizes = FeatureSpace.from_dict(feature_space).sizes()
    with seeded(training.seed):
        evaluator = build_evaluator(sizes, requests.list_length, config)
    history = fit(
        evaluator,
        evaluator_loss,
        requests.of("train", role),
        requests.of("validation", role),
        training,
        label=f"{role} evaluator",
    )
    trained = store(evaluator, sizes, requests.list_length, config, encoding_of(request_tensors))
    return trained, pd.DataFrame(history)
