"""The arms that the study compares, and its judges."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

from degre_pipeline.reranker.checked_settings import check_types, require
from degre_pipeline.reranker.models.model_config import EvaluatorConfig, GeneratorConfig
from degre_pipeline.reranker.search.mining_config import MiningConfig
from degre_pipeline.reranker.training.objectives import DistillationConfig
from degre_pipeline.reranker.training.training_config import TrainingConfig

Config = TypeVar("Config", EvaluatorConfig, TrainingConfig, MiningConfig, GeneratorConfig, DistillationConfig)

MOST_JUDGES = 64

REFERENCE = "reference"
"""Stands for an arm where lists are those that no arm has a part in."""

TWIN = "twin"
"""Stands for an arm whose miner is the second paper-like evaluator."""


@dataclass(frozen=True)
class StudyConfig:
    """The protocol of the study.

    Attributes:
        data: Name of the data in the rows: `simulated`, `ml1m` or another.
        seeds: Of the miner and of the generator; every arm is run with each, less `fewer_seeds`.
        judge_members: Members of the external ensemble, and of a second one like it.
        judge_seed: Of the judges; no seed of a miner.
        ceiling_beam: Beam of the search for what each ensemble itself likes best.
        arms: What is compared: by name, settings that differ from the run's own, in the sections
            `evaluator`, `evaluator_training`, `mining`, `generator`, `generator_training`, `distillation`.
        run: Names of the arms that are run, in this order; empty: all of them.
        fewer_seeds: By name, how many of the first seeds an arm is run with, where not with all.
    """

    data: str = "simulated"
    seeds: list[int] = field(default_factory=lambda: [0])
    judge_members: int = 4
    judge_seed: int = 1000
    ceiling_beam: int = 64
    arms: dict[str, dict[str, dict[str, Any]]] = field(default_factory=lambda: {"default": {}})
    run: list[str] = field(default_factory=list)
    fewer_seeds: dict[str, int | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_types(self)
        whole = bool(self.seeds) and all(type(seed) is int for seed in self.seeds)
        unique = whole and len(set(self.seeds)) == len(self.seeds)
        require(unique, "seeds", self.seeds, "one whole number or more, each once")
        require(
            1 <= self.judge_members <= MOST_JUDGES, "judge_members", self.judge_members, f"1 to {MOST_JUDGES}"
        )
        require(self.ceiling_beam >= 1, "ceiling_beam", self.ceiling_beam, "1 or more")
        used = {self.judge_seed + offset for offset in range(4)}
        require(
            not used & set(self.seeds),
            "judge_seed",
            self.judge_seed,
            f"a number from which four on are none of the seeds {self.seeds}",
        )
        require(bool(self.arms), "arms", self.arms, "one or more")
        for name in self.run:
            require(name in self.arms, "name in run", name, ", ".join(self.arms))
        for name, arm in self.arms.items():
            allowed = "settings by section; to leave an arm out, name the others in run"
            require(isinstance(arm, dict), f"arm {name}", arm, allowed)
            allowed = f"letters, digits and underscores, but not {REFERENCE} or {TWIN}"
            require(name.isidentifier() and name not in (REFERENCE, TWIN), "name of an arm", name, allowed)
            unknown = sorted(set(arm) - set(SECTIONS))
            require(not unknown, f"sections of arm {name}", unknown, ", ".join(SECTIONS))
        for name, count in self.fewer_seeds.items():
            require(name in self.arms, "name in fewer_seeds", name, ", ".join(self.arms))
            require(
                count is None or count >= 1, f"fewer_seeds of {name}", count, "1 or more, or null for all"
            )

    def seeds_of(self, arm: str) -> list[int]:
        """Returns the seeds that an arm is run with."""
        return self.seeds[: self.fewer_seeds.get(arm)]

    @property
    def kept_arms(self) -> dict[str, dict[str, dict[str, Any]]]:
        """The arms that are run."""
        return {name: self.arms[name] for name in self.run or self.arms}


@dataclass(frozen=True)
class Recipe:
    """All settings from evaluator to generator."""

    evaluator: EvaluatorConfig
    evaluator_training: TrainingConfig
    mining: MiningConfig
    generator: GeneratorConfig
    generator_training: TrainingConfig
    distillation: DistillationConfig

    def changed(self, arm: Mapping[str, Mapping[str, Any]], seed: int) -> "Recipe":
        """Returns the recipe of an arm, with a seed.

        Raises: ValueError: If the arm names a setting that there is not, or a value that is not allowed.
        """
        parts = {name: _changed(name, getattr(self, name), arm.get(name, {})) for name in SECTIONS}
        recipe = Recipe(**parts)
        return replace(
            recipe,
            evaluator_training=replace(recipe.evaluator_training, seed=seed),
            generator_training=replace(recipe.generator_training, seed=seed),
        )

    def with_generator_of(self, other: "Recipe") -> "Recipe":
        """Returns this recipe's miner with another one's generator: equal for arms that share a miner."""
        mine = {name: getattr(self, name) for name in ("evaluator", "evaluator_training", "mining")}
        return replace(other, **mine)


SECTIONS = tuple(section.name for section in fields(Recipe))


def digest(*settings: object) -> str:
    """Returns a short text that tells settings from all others."""
    return hashlib.sha256(" ".join(map(str, settings)).encode()).hexdigest()[:12]


def _changed(section: str, own: Config, changes: Mapping[str, Any]) -> Config:
    allowed = [setting.name for setting in fields(own)]
    unknown = sorted(set(changes) - set(allowed))
    require(not unknown, f"settings of an arm's {section}", unknown, ", ".join(allowed))
    return replace(own, **changes)
