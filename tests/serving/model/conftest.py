"""A small world with every kind and group of field, and an untrained generator for it."""

import sys
import warnings
from pathlib import Path

import mlflow
import pytest
import torch
from requests_to_serve import sample_requests

from degre_pipeline.reranker.features import FeatureSpace
from degre_pipeline.reranker.models.generator import build_generator
from degre_pipeline.reranker.models.model_config import GeneratorConfig
from degre_pipeline.reranker.models.stored_models import store
from degre_pipeline.reranker.schema import Field
from degre_pipeline.serving.model.packaging import log_reranker
from degre_pipeline.serving.model.prepare import prepare
from degre_pipeline.serving.model.program import export_program, save_program
from degre_pipeline.serving.model.request_schema import Request
from degre_pipeline.serving.model.reranking_model import build_reranker

LIST_LENGTH = 3


@pytest.fixture(scope="session")
def space() -> FeatureSpace:
    return FeatureSpace(
        fields=(
            Field("segment", "categorical", "user"),
            Field("age", "numeric", "user"),
            Field("weekday", "categorical", "context"),
            Field("category", "categorical", "item"),
            Field("genres", "tags", "item", size=2),
            Field("price", "numeric", "item"),
            Field("ranking_score", "numeric", "score"),
        ),
        vocabularies={
            "segment": ("new", "regular"),
            "weekday": ("0", "1", "6"),
            "category": ("book", "film", "game"),
            "genres": ("drama", "noir"),
        },
        edges={"age": (20.0, 40.0), "price": (1.0, 5.0, 9.0), "ranking_score": (-1.0, 0.0, 1.0)},
    )


@pytest.fixture(scope="session")
def trained(space):
    """Untrained weights drawn large, so that candidates that differ get probabilities that differ."""
    torch.manual_seed(0)
    config = GeneratorConfig(embedding_dim=4, width=8, layers=1, heads=2, feedforward=8, field_heads=2)
    generator = build_generator(space.sizes(), LIST_LENGTH, config)
    with torch.no_grad():
        for table in (generator.features.static, generator.features.candidate):
            table.table.weight.normal_(std=2.0)
        generator.combine.weight.mul_(3.0)
    return store(generator, space.sizes(), LIST_LENGTH, config)


@pytest.fixture(scope="session")
def reranker(trained, space):
    return build_reranker(trained, space)


@pytest.fixture(scope="session")
def program_file(trained, tmp_path_factory) -> Path:
    """The trained generator's stored program."""
    file = tmp_path_factory.mktemp("program") / "program.pt2"
    save_program(export_program(trained), file)
    return file


@pytest.fixture(scope="session")
def prepared(program_file) -> Path:
    """The folder with the program as ONNX."""
    folder = program_file.parent / "prepared"
    prepare("onnxruntime", program_file, folder, 4)
    return folder


@pytest.fixture
def requests() -> list[Request]:
    return sample_requests()


@pytest.fixture(scope="session")
def model_folder(trained, space, tmp_path_factory) -> Path:
    """The folder of a model logged to a throw-away MLflow database."""
    root = tmp_path_factory.mktemp("mlflow")
    before = mlflow.get_tracking_uri()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The ``noload`` loader strategy")  # sqlalchemy, used by mlflow
        mlflow.set_tracking_uri(f"sqlite:///{root / 'mlflow.db'}")
        mlflow.set_experiment(
            experiment_id=mlflow.create_experiment("serving", (root / "artifacts").as_uri())
        )
        with mlflow.start_run():
            log_reranker(
                trained, space, sample_requests(), name="reranker", metadata={"run_date": "2026-01-31"}
            )
    mlflow.set_tracking_uri(before)
    return next((root / "artifacts").rglob("MLmodel")).parent


@pytest.fixture
def model(model_folder):
    """The logged model, loaded by plain MLflow; the import path is put back afterwards."""
    path = list(sys.path)
    yield mlflow.pyfunc.load_model(str(model_folder))
    sys.path[:] = path
