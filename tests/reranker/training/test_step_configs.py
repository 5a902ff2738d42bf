"""The settings of a whole pipeline: Kedro builds the outer dataclass, and that its sections."""

from typing import Any

import pytest

from degre_pipeline.reranker.models.model_config import EvaluatorConfig, GeneratorConfig
from degre_pipeline.reranker.training.epoch_records import EpochMiningConfig
from degre_pipeline.reranker.training.objectives import DistillationConfig
from degre_pipeline.reranker.training.step_configs import (
    EvaluatorTrainingConfig,
    GeneratorDistillationConfig,
)
from degre_pipeline.reranker.training.training_config import TrainingConfig

SECTIONS: dict[str, Any] = {"model": {"layers": 2}, "training": {"seed": 3}, "external_seed": 7}


def test_sections_come_as_mappings_or_built():
    built = EvaluatorTrainingConfig(EvaluatorConfig(layers=2), TrainingConfig(seed=3), external_seed=7)
    assert EvaluatorTrainingConfig(**SECTIONS) == built
    watched = EvaluatorTrainingConfig(**SECTIONS, epoch_mining={"requests": 5})
    assert watched.epoch_mining == EpochMiningConfig(requests=5)
    distilled = GeneratorDistillationConfig(**{"model": {}, "training": {}, "distillation": {}})
    assert distilled == GeneratorDistillationConfig(GeneratorConfig(), TrainingConfig(), DistillationConfig())


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"model": {"colour": 1}}, "^model: .*unexpected keyword argument 'colour'"),
        ({"training": {"epochs": 0}}, "^training: epochs is 0; allowed: 1 or more"),
        ({"training": 4}, "^training is 4; allowed: settings by name"),
        ({"calibration": "no"}, "^calibration is 'no'; allowed: true or false"),
        ({"external_seed": 3}, "^external_seed is 3; allowed: any but the training seed"),
    ],
)
def test_what_is_wrong_is_named_with_its_section(wrong: dict[str, Any], named: str):
    with pytest.raises(ValueError, match=named):
        EvaluatorTrainingConfig(**{**SECTIONS, **wrong})


def test_unknown_sections_are_refused():
    with pytest.raises(TypeError, match="unexpected keyword argument 'modle'"):
        EvaluatorTrainingConfig(**SECTIONS, modle={})
