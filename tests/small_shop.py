"""What registration and the gate read of the catalog, of the small shop."""

from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch

from degre_pipeline.lists.list_config import ListConfig
from degre_pipeline.pipelines.registration.nodes import collect_models, describe_version, register_model
from degre_pipeline.reranker.features import NO_FEATURES, FeatureSpace
from degre_pipeline.reranker.models.generator import build_generator
from degre_pipeline.reranker.models.model_config import GeneratorConfig
from degre_pipeline.reranker.models.stored_models import FROM_NOTHING, TrainedWeights, store
from degre_pipeline.reranker.requests import Requests
from degre_pipeline.simulation.shop import ShopConfig
from degre_pipeline.sources.feature_tables import FeatureTables

SHOP = ShopConfig(
    users=60,
    items=40,
    categories=4,
    segments=3,
    brands=5,
    requests_per_day=250,
    days=5,
    candidates=8,
    list_length=4,
    base_logit=-0.7,
    segment_taste=1.5,
    item_quality=1.2,
    exploration=0.5,
)


@dataclass(frozen=True)
class Shop:
    """Tables, tensors and an untrained generator for them."""

    generator: TrainedWeights
    feature_space: FeatureSpace
    encoded: Requests
    lists: pd.DataFrame
    feature_tables: FeatureTables


def register_shop(
    shop: Shop,
    *,
    metrics: list[dict[str, Any]],
    mining_evaluator: TrainedWeights,
    external_evaluator: TrainedWeights,
    run_date: str = "2026-01-31",
    ranking: tuple[TrainedWeights, FeatureSpace] = (FROM_NOTHING, NO_FEATURES),
) -> dict[str, Any]:
    """Returns what the nodes of registration, one after another, make of the shop and its evaluators."""
    models = collect_models(
        shop.generator, mining_evaluator, external_evaluator, shop.feature_space, *ranking
    )
    lists, tables = ListConfig(external_share=0.3), shop.feature_tables
    data = "simulated_shop", "simulated"
    tags = describe_version(shop.lists, tables.requests, metrics, lists, run_date, *data)
    return register_model(models, tags, shop.encoded, shop.lists, tables, "reranker")


def small_generator(space: FeatureSpace, list_length: int = 4, seed: int = 0) -> TrainedWeights:
    torch.manual_seed(seed)
    config = GeneratorConfig(embedding_dim=4, width=8, layers=1, heads=2, feedforward=8)
    generator = build_generator(space.sizes(), list_length, config)
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.add_(torch.randn_like(parameter))
    return store(generator, space.sizes(), list_length, config, space.identity)
