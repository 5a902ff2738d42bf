from typing import Any

import pytest

from degre_pipeline.judging.evaluation_config import EvaluationConfig
from degre_pipeline.reranker.models.model_config import EvaluatorConfig, GeneratorConfig
from degre_pipeline.reranker.ranking_stage import RankingStageConfig
from degre_pipeline.reranker.search.mining_config import MiningConfig
from degre_pipeline.reranker.training.objectives import DistillationConfig
from degre_pipeline.reranker.training.training_config import TrainingConfig


@pytest.mark.parametrize(
    ("config", "settings", "message"),
    [
        (EvaluatorConfig, {"layers": 0}, "layers is 0; allowed: 1 or more"),
        (EvaluatorConfig, {"heads": 3}, "heads is 3; allowed: a divisor of width 64"),
        (EvaluatorConfig, {"field_heads": 3}, "field_heads is 3; allowed: a divisor of embedding_dim 16"),
        (EvaluatorConfig, {"dropout": 1.0}, "dropout is 1.0"),
        (EvaluatorConfig, {"id_dropout": -0.1}, "id_dropout is -0.1"),
        (EvaluatorConfig, {"field_attention": "some"}, "allowed: full, cross_only, mtgr, none"),
        (GeneratorConfig, {"norm_statistics": "batch"}, "allowed: token, group"),
        (GeneratorConfig, {"item_input": "decoder"}, "allowed: encoder, feature"),
        (TrainingConfig, {"epochs": 0}, "epochs is 0"),
        (TrainingConfig, {"learning_rate": 0.0}, "learning_rate is 0.0; allowed: above 0"),
        (TrainingConfig, {"weight_decay": -1.0}, "weight_decay is -1.0"),
        (TrainingConfig, {"schedule": "cosine"}, "schedule is 'cosine'; allowed: constant, one_cycle"),
        (TrainingConfig, {"compile": "yes"}, "compile is 'yes'; allowed: auto, on, off"),
        (MiningConfig, {"beam_size": 0}, "beam_size is 0"),
        (MiningConfig, {"top_k": -1}, "top_k is -1; allowed: 0 or more"),
        (MiningConfig, {"roles": "external"}, "roles is 'external'; allowed: mining, all"),
        (DistillationConfig, {"teacher": "beam"}, "teacher is 'beam'; allowed: mined, exposed"),
        (DistillationConfig, {"soft_label_weight": -1.0}, "soft_label_weight is -1.0; allowed: 0 or more"),
        (DistillationConfig, {"sequence_temperature": 0.0}, "sequence_temperature is 0.0; allowed: above 0"),
        (
            DistillationConfig,
            {"hard_labels": False, "soft_label_weight": 0.0},
            "above 0 when hard_labels is off",
        ),
        (
            DistillationConfig,
            {"hard_labels": False, "teacher": "exposed"},
            "hard_labels is False; allowed: on",
        ),
        (EvaluationConfig, {"comparison_lists": 0}, "comparison_lists is 0"),
        (EvaluationConfig, {"bootstrap_samples": 39}, "bootstrap_samples is 39; allowed: 40 or more"),
        (EvaluationConfig, {"seed": -1}, "seed is -1; allowed: 0 or more"),
        (TrainingConfig, {"seed": -1}, "seed is -1; allowed: 0 or more"),
        (TrainingConfig, {"gradient_clip": float("nan")}, "gradient_clip is nan; allowed: a number"),
        (MiningConfig, {"seed": -2}, "seed is -2; allowed: 0 or more"),
        (RankingStageConfig, {"folds": 1}, "folds is 1; allowed: 2 or more"),
    ],
)
def test_a_wrong_setting_is_named_with_what_is_allowed(
    config: Any, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        config(**settings)


@pytest.mark.parametrize(
    ("requests", "batch_size", "epochs", "patience"),
    [
        (70_000, 256, 5, 3),  # 273 steps an epoch are enough
        (10_240, 256, 5, 3),  # just 200 steps
        (5_000, 125, 5, 3),
        (1_300, 32, 5, 3),
        (800, 32, 8, 5),  # 25 steps an epoch, eight times
        (40, 32, 200, 120),
        (20, 20, 200, 120),
    ],
)
def test_few_requests_make_smaller_batches_and_then_more_epochs(requests, batch_size, epochs, patience):
    config = TrainingConfig(epochs=5, batch_size=256, patience=3, least_steps=200).on(requests, shares=1)

    assert (config.batch_size, config.epochs, config.patience) == (batch_size, epochs, patience)
    assert (requests // config.batch_size) * config.epochs >= 200


def test_batches_are_divisible_among_processes_and_parts():
    assert TrainingConfig(batch_size=256, least_steps=200).on(1_000, shares=4).batch_size % 4 == 0
    assert TrainingConfig(batch_size=8).on(7, shares=2).batch_size == 6
