"""Trains a version that passed the gate once more, on the whole log, and lets it serve if it does no harm."""

from dataclasses import asdict
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from degre_pipeline.judging.names import MINING
from degre_pipeline.release.gate.frozen_slice import in_order_of_slice, users_by_request
from degre_pipeline.release.gate.gate_config import GateConfig
from degre_pipeline.release.gate.refit_findings import refit_findings
from degre_pipeline.release.gate.version_values import independent_judges
from degre_pipeline.release.trained_models import TrainedModels
from degre_pipeline.reranker.distillation import distill
from degre_pipeline.reranker.evaluator_training import train_evaluator
from degre_pipeline.reranker.features import FeatureSpace
from degre_pipeline.reranker.fingerprints import check_encoding
from degre_pipeline.reranker.head_choice import HeadRow, with_head
from degre_pipeline.reranker.lookahead_mining import mine, prepare_miner, rows_to_mine
from degre_pipeline.reranker.mined_requests import MinedRequests
from degre_pipeline.reranker.miner_training import ready_to_mine
from degre_pipeline.reranker.models.stored_models import TrainedWeights
from degre_pipeline.reranker.requests import Requests
from degre_pipeline.reranker.search.mining_config import MiningConfig
from degre_pipeline.reranker.training.step_configs import (
    EvaluatorTrainingConfig,
    GeneratorDistillationConfig,
)
from degre_pipeline.reranker.training.training_state import Checkpoints
from degre_pipeline.sources.feature_tables import FeatureTables


def refit_evaluator(
    encoded: Requests,
    feature_space: FeatureSpace,
    head_choice: list[HeadRow],
    config: EvaluatorTrainingConfig,
    checkpoints: Checkpoints | None = None,
) -> TrainedWeights:
    """Returns the mining evaluator of the whole log, with the head that the gated one has."""
    whole = encoded.as_whole_log()
    whole = whole if config.lists_without_clicks else whole.clicked()
    learn, check, name = whole.of("train", MINING), whole.of("validation", MINING), "refit_evaluator"
    model = with_head(config.model, head_choice)
    trained, _ = train_evaluator(
        learn,
        check,
        sizes=feature_space.sizes(),
        config=model,
        training=config.training,
        name=name,
        encoding=encoded.encoding,
        calibration=config.calibration,
        checkpoints=checkpoints,
    )
    return ready_to_mine(trained, learn, check, model, config.training, name=name, checkpoints=checkpoints)


def refit_generator(
    encoded: Requests,
    feature_space: FeatureSpace,
    evaluator: TrainedWeights,
    search: MiningConfig,
    config: GeneratorDistillationConfig,
    checkpoints: Checkpoints | None = None,
) -> TrainedWeights:
    """Returns the generator distilled from what the evaluator of the whole log mines."""
    whole = encoded.as_whole_log()
    rows = rows_to_mine(whole, search)
    miner = prepare_miner(evaluator, whole, search, len(rows))
    found = mine(miner, whole, rows, search, label="mining for the refit")
    mined = MinedRequests.of(whole.select(rows), found["sequences"], found["values"], found["step_values"])
    generator, _ = distill(
        mined.of_split("train"),
        mined.of_split("validation"),
        evaluator,
        sizes=feature_space.sizes(),
        config=config.model,
        training=config.training,
        distillation=config.distillation,
        name="refit_generator",
        encoding=encoded.encoding,
        checkpoints=checkpoints,
    )
    return generator


def check_refit(
    gate_slice: dict[str, Any],
    encoded: Requests,
    lists: pd.DataFrame,
    generator: TrainedWeights,
    refitted: TrainedWeights,
    external_evaluator: TrainedWeights,
    click_truth: dict[str, Tensor],
    config: GateConfig,
) -> list[dict[str, Any]]:
    """Returns the findings on the refitted generator's lists beside those of the gated one, by judge."""
    check_encoding(generator, encoded.encoding)
    requests = encoded.with_ids(torch.tensor(gate_slice["request_ids"]))
    users = users_by_request(in_order_of_slice(gate_slice, lists), lists, config.old_user_requests)
    return [
        asdict(finding)
        for finding in refit_findings(
            requests,
            generator,
            refitted,
            independent_judges(external_evaluator, click_truth, requests, config),
            config,
            user=users["user"].to_numpy(),
        )
    ]


def collect_refitted(
    generator: TrainedWeights,
    mining_evaluator: TrainedWeights,
    external_evaluator: TrainedWeights,
    feature_space: FeatureSpace,
    ranking_model: TrainedWeights,
    ranking_feature_space: FeatureSpace,
) -> TrainedModels:
    """Returns the refitted generator with the gated version's other models; see `TrainedModels`."""
    return TrainedModels(
        generator=generator,
        mining_evaluator=mining_evaluator,
        external_evaluator=external_evaluator,
        feature_space=feature_space,
        ranking_model=ranking_model,
        ranking_feature_space=ranking_feature_space,
    )


def register_refit(
    findings: list[dict[str, Any]],
    models: TrainedModels,
    registered_model: dict[str, Any],
    encoded: Requests,
    lists: pd.DataFrame,
    feature_tables: FeatureTables,
) -> dict[str, Any]:
    """Registers the refitted model, where it is harmless, and lets it serve in place of the gated version.

    Returns: name, version, uri and run_id, and the moves of aliases.
    Raises: ValueError: If the gate did not pass the version, or if the refitted model is worse than it.
    """
    from degre_pipeline.release import refit

    gated = refit.gated_version(registered_model)
    refit.check_harmless(findings, gated)
    return refit.register(gated, models, encoded=encoded, lists=lists, tables=feature_tables)
