"""Trains judges and arms, lets every judge value every list, and writes down what comes of it."""

from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from degre_pipeline.datasets.shards import LoadedShards, Shards
from degre_pipeline.judging import names
from degre_pipeline.judging.evaluation_config import EvaluationConfig
from degre_pipeline.judging.judgements import comparison_values
from degre_pipeline.judging.judges import EvaluatorJudge, draw_requests, truth_or_none
from degre_pipeline.judging.study import study_judges
from degre_pipeline.judging.study.arms import Miner, as_miner, reference_lists, run_arm, train_miner
from degre_pipeline.judging.study.judged_lists import agreement_by_size, judged_lists, optimum_rows
from degre_pipeline.judging.study.study_config import REFERENCE, TWIN, Recipe, StudyConfig, digest
from degre_pipeline.judging.study.study_rows import study_rows
from degre_pipeline.reranker.features import FeatureSpace
from degre_pipeline.reranker.fingerprints import check_encoding, fingerprint
from degre_pipeline.reranker.head_choice import HeadRow, with_head
from degre_pipeline.reranker.models.stored_models import TrainedWeights, restore_evaluator
from degre_pipeline.reranker.requests import Requests
from degre_pipeline.reranker.search.mining_config import MiningConfig
from degre_pipeline.reranker.training.loop import choose_device
from degre_pipeline.reranker.training.step_configs import (
    EvaluatorTrainingConfig,
    GeneratorDistillationConfig,
)
from degre_pipeline.reranker.training.training_state import Checkpoints
from degre_pipeline.run_facts import RunFacts


def read_recipe(
    head_choice: list[HeadRow],
    evaluators: EvaluatorTrainingConfig,
    mining: MiningConfig,
    generators: GeneratorDistillationConfig,
) -> Recipe:
    """Returns the run's own settings, from evaluator to generator, which arms change."""
    return Recipe(
        evaluator=with_head(evaluators.model, head_choice),
        evaluator_training=evaluators.training,
        mining=mining,
        generator=generators.model,
        generator_training=generators.training,
        distillation=generators.distillation,
    )


def train_study_judges(
    encoded: Requests,
    feature_space: FeatureSpace,
    study: StudyConfig,
    recipe: Recipe,
    checkpoints: Checkpoints | None = None,
) -> dict[str, TrainedWeights]:
    """Returns the trained judges by name."""
    study_judges.check_apart(encoded)
    return study_judges.train_judges(
        encoded,
        study,
        sizes=feature_space.sizes(),
        evaluator=recipe.evaluator,
        training=recipe.evaluator_training,
        encoding=encoded.encoding,
        checkpoints=checkpoints,
    )


def value_random_lists(
    encoded: Requests,
    judges: dict[str, TrainedWeights],
    click_truth: dict[str, Tensor],
    config: EvaluationConfig,
) -> Shards:
    """Returns each judge's values of the random lists of the compared requests, [r, s], one shard a judge."""
    few = _asked(encoded, config).select(slice(0, config.judged_requests))
    by_name = {one.name: one for one in study_judges.judges_of(judges, click_truth, few, config.device)}
    return Shards(
        fingerprint=_fingerprint(encoded, judges.values(), config),
        names=tuple(by_name),
        make=lambda name: {"values": torch.from_numpy(comparison_values(by_name[name], few, config))},
    )


def run_arms(
    encoded: Requests,
    feature_space: FeatureSpace,
    judges: dict[str, TrainedWeights],
    own: Recipe,
    study: StudyConfig,
    config: EvaluationConfig,
    checkpoints: Checkpoints | None = None,
) -> Shards:
    """Returns the lists of every arm and seed, a shard each, of what no arm has a part in, and of the twin.

    The twin mines, by the paper's beam, and distils with the second paper-like evaluator: what one finds who
    judges by another seed of the miner. Finished shards stay; a training that was interrupted goes on.
    """
    asked = _asked(encoded, config)
    study_judges.check_apart(encoded)
    each = [
        (f"{arm}.{seed}", own.changed(changes, seed))
        for seed in study.seeds
        for arm, changes in study.kept_arms.items()
        if seed in study.seeds_of(arm)
    ]
    # Shards are named after their settings: one more seed, arm or judge, or a changed one, keeps the others.
    recipes = {f"{name}.{digest(recipe)}": recipe for name, recipe in each}
    evaluators = {name: one for name, one in judges.items() if name != names.BIDIRECTIONAL}
    weights = [fingerprint(judge.weights) for judge in evaluators.values()]
    reference = f"{REFERENCE}..{digest(*weights, study.ceiling_beam)}"
    of_twin = replace(own, mining=replace(own.mining, strategy="beam"))
    twin = f"{TWIN}..{digest(weights[-1], of_twin)}"
    recipes[twin] = of_twin
    sizes, device = feature_space.sizes(), choose_device(config.device)
    kept: dict[str, Any] = {"encoding": encoded.encoding, "checkpoints": checkpoints}

    @lru_cache(maxsize=1)  # arms that follow one another often differ in the generator alone
    def miner_of(recipe: Recipe) -> Miner:
        return train_miner(encoded, asked, sizes, recipe, config, **kept)

    def make(name: str) -> dict[str, Tensor]:
        if name == reference:
            restored = {judge: restore_evaluator(one).to(device) for judge, one in evaluators.items()}
            return reference_lists(asked, restored, study.ceiling_beam, config)
        recipe = recipes[name]
        if name == twin:
            miner = as_miner(judges[names.SECOND_PAPER_LIKE], encoded, asked, recipe.mining, config)
        else:
            miner = miner_of(recipe.with_generator_of(own))
        return run_arm(miner, asked, sizes, recipe, config, name=name.replace(".", "_"), **kept)

    shards = (reference, *recipes)
    return Shards(fingerprint=_fingerprint(encoded, (), config), names=shards, make=make)


def judge_study(
    encoded: Requests,
    study_lists: LoadedShards,
    random_list_values: LoadedShards,
    judges: dict[str, TrainedWeights],
    click_truth: dict[str, Tensor],
    config: EvaluationConfig,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Returns every judge's value and rank of every list, and how two ensembles agree by their size."""
    for one in judges.values():
        check_encoding(one, encoded.encoding)
    asked = _asked(encoded, config)
    asked_judges = study_judges.judges_of(judges, click_truth, asked, config.device)
    judged = judged_lists(
        asked,
        {name: study_lists.load(name) for name in study_lists},
        asked_judges,
        {name: random_list_values.load(name)["values"].numpy() for name in random_list_values},
        config,
    )
    truth = truth_or_none(click_truth, asked)
    if truth is not None:
        judged = pd.concat([judged, optimum_rows(asked, truth)], ignore_index=True)
    few = asked.select(slice(0, config.judged_requests))
    fewer_lists = replace(config, comparison_lists=min(config.comparison_lists, 1000))
    return judged, agreement_by_size(
        *(_by_member(weights, few, fewer_lists) for weights in (judges[names.EXTERNAL], judges[names.SECOND]))
    )


def summarise_study(
    study_judgements: pd.DataFrame, study: StudyConfig, config: EvaluationConfig
) -> list[dict[str, Any]]:
    """Returns the rows of the study; see `rows.study_rows`."""
    return study_rows(study_judgements, study.data, next(iter(study.kept_arms)), config)


def describe_study(
    rows: list[dict[str, Any]], judge_agreement_by_size: pd.DataFrame, run_facts: RunFacts
) -> tuple[str, str, str]:
    """Returns the tables as Markdown, the picture as SVG, and both as a page."""
    # Here, because the registry imports this file for every command and matplotlib is slow to import.
    from degre_pipeline.reports.truth_study_page import as_markdown, draw, render_study

    found = rows, judge_agreement_by_size
    picture = draw(*found)
    return as_markdown(*found), picture, render_study(*found, picture, run_facts)


def _asked(encoded: Requests, config: EvaluationConfig) -> Requests:
    return draw_requests(encoded.of("test"), config.requests, config.seed)


def _fingerprint(encoded: Requests, trained: Any, config: EvaluationConfig) -> str:
    weights = " ".join(fingerprint(one.weights) for one in trained)
    return f"{fingerprint(encoded.to_tensors())} {encoded.encoding} {weights} {config}"


def _by_member(trained: TrainedWeights, few: Requests, config: EvaluationConfig) -> Any:
    device = choose_device(config.device)
    members = restore_evaluator(trained).to(device).members
    judges = [EvaluatorJudge(f"member {number}", one) for number, one in enumerate(members, start=1)]
    return np.stack([comparison_values(judge, few, config) for judge in judges])
