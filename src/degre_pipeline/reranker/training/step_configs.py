"""All settings of the two pipelines that train a model, as one object each."""

from collections.abc import Mapping
from dataclasses import dataclass, field, is_dataclass
from typing import get_type_hints

from degre_pipeline.reranker.checked_settings import check_types, require
from degre_pipeline.reranker.models.model_config import EvaluatorConfig, GeneratorConfig
from degre_pipeline.reranker.training.epoch_records import EpochMiningConfig
from degre_pipeline.reranker.training.objectives import DistillationConfig
from degre_pipeline.reranker.training.training_config import TrainingConfig


@dataclass(frozen=True)
class EvaluatorTrainingConfig:
    """How both evaluators are trained.

    Attributes:
        model: Their architecture.
        training: Their training; the seed is the mining evaluator's.
        external_seed: Of the external evaluator's training; any but that of `training`.
        external_members: Networks of the external evaluator, in place of the `members` of `model`.
        lists_without_clicks: Whether lists that earned no click train the evaluators, too.
        calibration: Stretches and shifts the logits on validation lists after training.
        epoch_mining: What the mining evaluator mines after each epoch.
    """

    model: EvaluatorConfig
    training: TrainingConfig
    external_seed: int
    external_members: int = 1
    lists_without_clicks: bool = True
    calibration: bool = False
    epoch_mining: EpochMiningConfig = field(default_factory=EpochMiningConfig)

    def __post_init__(self) -> None:
        build_sections(self)
        check_types(self)
        require(self.model.head != "discriminator", "head", self.model.head, "one that predicts clicks")
        allowed = "any but the training seed"
        require(self.external_seed != self.training.seed, "external_seed", self.external_seed, allowed)


@dataclass(frozen=True)
class GeneratorDistillationConfig:
    """How the generator is distilled.

    Attributes:
        model: Its architecture.
        training: Its training.
        distillation: What it learns from.
    """

    model: GeneratorConfig
    training: TrainingConfig
    distillation: DistillationConfig

    def __post_init__(self) -> None:
        build_sections(self)


def build_sections(config: object) -> None:
    """Builds, in place, every section of a new config that came as a mapping.

    Kedro builds the dataclass that a node names for its parameter, and leaves those inside it to that class.

    Raises: ValueError naming the section, for a key that it does not have or a value that is not allowed.
    """
    hints: dict[str, type] = get_type_hints(type(config))
    for name, declared in hints.items():
        section = getattr(config, name)
        if is_dataclass(declared) and not isinstance(section, declared):
            require(isinstance(section, Mapping), name, section, "settings by name")
            try:
                object.__setattr__(config, name, declared(**section))
            except (TypeError, ValueError) as error:
                raise ValueError(f"{name}: {error}") from error
