"""Trains the evaluator that mines and the external one that only judges, on disjoint requests."""

from dataclasses import asdict, replace
from typing import Any

import pandas as pd
from torch import Tensor

from degre_pipeline.reranker.batching import Requests
from degre_pipeline.reranker.calibration import calibrate
from degre_pipeline.reranker.checkpoints import Checkpoints, identity_of
from degre_pipeline.reranker.configs import EvaluatorConfig, TrainedWeights, TrainingConfig, require
from degre_pipeline.reranker.features import FeatureSpace
from degre_pipeline.reranker.fingerprints import encoding_of
from degre_pipeline.reranker.models.builders import build_evaluator, store
from degre_pipeline.reranker.models.ensemble import EvaluatorEnsemble, MembersInOnePass
from degre_pipeline.reranker.objectives import evaluator_loss
from degre_pipeline.reranker.training import choose_device, fit, seeded


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
    encoding, device = encoding_of(request_tensors), choose_device(training.device)
    sizes = FeatureSpace.from_dict(feature_space).sizes()
    with seeded(training.seed):
        members = [build_evaluator(sizes, requests.list_length, config) for _ in range(config.members)]
    learn, check = requests.of("train", role), requests.of("validation", role)
    identity = identity_of(
        training,
        device,
        {"model": asdict(config), "feature_space": encoding},
        learn.to_tensors(),
        check.to_tensors(),
    )
    together = MembersInOnePass(members) if len(members) > 1 else None
    history = fit(
        together or members[0],
        evaluator_loss,
        learn,
        check,
        training,
        label=f"{role} evaluator",
        checkpoint=checkpoints.of(f"{role}_evaluator", identity) if checkpoints else None,
        clip=together.clip_gradients if together else None,
    )
    if together:
        members = [member.to(device) for member in together.separate()]
    if calibration:
        for member in members:
            calibrate(member, check)
    evaluator = EvaluatorEnsemble(members) if together else members[0]
    trained = store(evaluator, sizes, requests.list_length, config, encoding)
    return trained, pd.DataFrame(history)
