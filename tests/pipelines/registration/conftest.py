"""The tables of a small shop, an untrained generator for it and a throw-away MLflow database."""

import sys
import warnings
from dataclasses import dataclass
from typing import Any

import mlflow
import pandas as pd
import pytest
import torch
from torch import Tensor

from degre_pipeline.pipelines.list_building.nodes import ListConfig, build_lists, split_requests
from degre_pipeline.reranker.configs import GeneratorConfig, TrainedWeights
from degre_pipeline.reranker.features import FeatureSpace
from degre_pipeline.reranker.fingerprints import ENCODING, encoding_of, encoding_tensor
from degre_pipeline.reranker.models.builders import store
from degre_pipeline.reranker.models.generator import build_generator


@dataclass(frozen=True)
class Shop:
    """What the registration pipeline reads of the catalog."""

    generator: TrainedWeights
    feature_space: dict[str, Any]
    request_tensors: dict[str, Tensor]
    lists: pd.DataFrame
    requests: pd.DataFrame
    users: pd.DataFrame
    items: pd.DataFrame
    scored_candidates: pd.DataFrame


@pytest.fixture(scope="session")
def shop(shop_log, shop_data) -> Shop:
    tensors, space = shop_data
    splits = split_requests(shop_log.requests, ListConfig(list_length=4, external_share=0.2))
    lists = build_lists(shop_log.requests, shop_log.candidates, shop_log.exposures, splits)
    tables = (shop_log.requests, shop_log.users, shop_log.items, shop_log.candidates)
    return Shop(small_generator(space), space, tensors, lists, *tables)


def small_generator(feature_space: dict[str, Any]) -> TrainedWeights:
    torch.manual_seed(0)
    space = FeatureSpace.from_dict(feature_space)
    config = GeneratorConfig(embedding_dim=4, width=8, layers=1, heads=2, feedforward=8)
    generator = build_generator(space.sizes(), 4, config)
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.add_(torch.randn_like(parameter))
    encoding = encoding_of({ENCODING: encoding_tensor(feature_space)})
    return store(generator, space.sizes(), 4, config, encoding)


@pytest.fixture
def registry(tmp_path):
    """A client of an empty MLflow database; what MLflow keeps for the process is put back."""
    uri, path = mlflow.get_tracking_uri(), list(sys.path)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The ``noload`` loader strategy")  # sqlalchemy, used by mlflow
        mlflow.set_tracking_uri(f"sqlite:///{tmp_path / 'mlflow.db'}")
        experiment = mlflow.create_experiment("registration", (tmp_path / "artifacts").as_uri())
    mlflow.set_experiment(experiment_id=experiment)
    yield mlflow.MlflowClient()
    mlflow.set_tracking_uri(uri)
    sys.path[:] = path
