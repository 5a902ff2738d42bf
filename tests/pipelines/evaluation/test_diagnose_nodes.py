from typing import Any

import pandas as pd
import pytest
import torch
from torch import Tensor

from degre_pipeline.judging.diagnostics.diagnostic_rows import COLUMNS
from degre_pipeline.judging.diagnostics.diagnostics_config import DiagnosticsConfig
from degre_pipeline.judging.evaluation_config import EvaluationConfig
from degre_pipeline.pipelines.evaluation.nodes import (
    diagnose,
    diagnose_distillation,
    diagnose_epochs,
    diagnose_search,
    judge_lists,
    rerank_test_requests,
)
from degre_pipeline.pipelines.evaluator_training.nodes import (
    train_external_evaluator,
    train_mining_evaluator,
)
from degre_pipeline.reranker.models.model_config import EvaluatorConfig
from degre_pipeline.reranker.models.stored_models import restore_miner
from degre_pipeline.reranker.search.mining_config import MiningConfig
from degre_pipeline.reranker.search.valuation import list_values
from degre_pipeline.reranker.training.epoch_records import EpochMiningConfig
from degre_pipeline.reranker.training.step_configs import EvaluatorTrainingConfig
from degre_pipeline.reranker.training.training_config import TrainingConfig
from small_shop import Shop

MODEL = EvaluatorConfig(embedding_dim=4, width=8, layers=1, heads=2, feedforward=16, members=2, pessimism=0.5)
TRAINING = TrainingConfig(epochs=2, batch_size=64, learning_rate=5e-3, device="cpu")
SEARCH = MiningConfig(beam_size=2, device="cpu")
CONFIG = EvaluationConfig(
    requests=30, judged_requests=3, comparison_lists=50, bootstrap_samples=40, batch_size=16, device="cpu"
)
DIAGNOSTICS = DiagnosticsConfig(requests=12, random_lists=20, beam_sizes=[1, 3])

Everything = tuple[dict[str, Tensor], dict[str, Tensor], Any, Any, Any, dict[str, Tensor]]


@pytest.fixture(scope="module")
def trained(shop: Shop) -> Everything:
    varied = [{"subject": "log", "judge": "log", "metric": "slot_coverage", "value": 1.0}]
    data = shop.encoded, shop.feature_space, varied
    watch = EpochMiningConfig(requests=6, beam_size=2)
    config = EvaluatorTrainingConfig(MODEL, TRAINING, external_seed=7, epoch_mining=watch)
    mining, _, mined, heads = train_mining_evaluator(*data, config)
    external, _ = train_external_evaluator(shop.encoded, shop.feature_space, heads, config)
    lists = rerank_test_requests(shop.encoded, shop.generator, mining, SEARCH, CONFIG)
    return shop.encoded, lists, shop.generator, mining, external, mined


def diagnosed(shop: Shop, trained: Everything, truth: dict[str, Tensor]) -> pd.DataFrame:
    tensors, lists, generator, mining, external, mined = trained
    judgements, _ = judge_lists(tensors, lists, mining, external, truth, CONFIG)
    parts = (
        diagnose_search(tensors, lists, mining, external, truth, SEARCH, DIAGNOSTICS, CONFIG),
        diagnose_epochs(tensors, mined, mining, external, truth, CONFIG),
        diagnose_distillation(tensors, lists, generator, mining, SEARCH, DIAGNOSTICS, CONFIG),
    )
    return diagnose(shop.lists, lists, judgements, *parts, CONFIG)


def test_every_diagnostic_has_its_rows(shop: Shop, trained: Everything, shop_truth) -> None:
    table = diagnosed(shop, trained, shop_truth)
    found = {name: sorted(part["at"].dropna().unique()) for name, part in table.groupby("diagnostic")}

    assert tuple(table.columns) == COLUMNS
    assert not table.duplicated(list(COLUMNS[:4])).any()
    assert (table["low"].isna() | (table["low"] <= table["value"] + 1e-9)).all()
    slots, nowhere = [1, 2, 3, 4], []
    assert found == {
        "agreement": nowhere,
        "optimism": nowhere,
        "optimism_share": nowhere,
        "optimism_by_decile": list(range(1, 11)),
        "optimism_by_slot": slots,
        "optimism_by_beam_size": [1, 3],
        "value_by_beam_size": [1, 3],
        "optimism_by_epoch": [1, 2],
        "value_by_epoch": [1, 2],
        "unlogged_item_in_slot": nowhere,
        "unlogged_next_item": nowhere,
        "choice_agreement": slots,
        "value_lost": slots,
    }
    pairs = set(table[table["diagnostic"] == "agreement"]["judge"])
    assert pairs == {"external-mining", "external-truth", "mining-truth"}


def test_the_losses_of_the_slots_are_the_gap_of_the_pessimistic_teacher(
    shop: Shop, trained: Everything, shop_truth
) -> None:
    tensors, lists, _, mining, *_ = trained
    some = slice(0, DIAGNOSTICS.requests)
    requests = tensors.with_ids(lists["request_id"][some])
    compared = torch.stack([lists["beam"][some], lists["generator"][some]], 1)
    beam, generator = list_values(restore_miner(mining), requests, compared).mean(0)

    table = diagnosed(shop, trained, shop_truth)
    lost = table[table["diagnostic"] == "value_lost"]["value"].sum()
    assert lost == pytest.approx(float(beam - generator), abs=1e-5)
    assert lost > 0


def test_without_truth_and_without_watched_epochs(shop: Shop, trained: Everything) -> None:
    table = diagnosed(shop, (*trained[:-1], {}), {})
    assert set(table["judge"]) == {"external-mining", "external", "mining", "log"}
    assert not table["diagnostic"].str.endswith("_by_epoch").any()
