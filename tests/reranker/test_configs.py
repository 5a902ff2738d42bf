from typing import Any

import pytest

from degre_pipeline.reranker.configs import (
    DistillationConfig,
    EvaluationConfig,
    EvaluatorConfig,
    GeneratorConfig,
    MiningConfig,
    TrainingConfig,
)
from degre_pipeline.reranker.ranking_stage import RankingStageConfig


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
        (RankingStageConfig, {"folds": 1}, "folds is 1; allowed: 2 or more"),
    ],
)
def test_a_wrong_setting_is_named_with_what_is_allowed(
    config: Any, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        config(**settings)
