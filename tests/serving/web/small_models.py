"""Models of a small world with every kind and group of field, and requests for them."""

import mlflow
import torch

from degre_pipeline.reranker.features import FeatureSpace
from degre_pipeline.reranker.models.generator import build_generator
from degre_pipeline.reranker.models.model_config import GeneratorConfig
from degre_pipeline.reranker.models.pointwise import PointwiseClickModel
from degre_pipeline.reranker.models.stored_models import TrainedWeights, store, store_ranking_model
from degre_pipeline.reranker.schema import Field
from degre_pipeline.serving.model.packaging import TrainedRanking, log_reranker
from degre_pipeline.serving.model.request_schema import Request

NAME = "reranker"
SPACE = FeatureSpace(
    fields=(
        Field("segment", "categorical", "user"),
        Field("age", "numeric", "user"),
        Field("weekday", "categorical", "context"),
        Field("genres", "tags", "item", size=2),
        Field("price", "numeric", "item"),
        Field("ranking_score", "numeric", "score"),
    ),
    vocabularies={
        "segment": ("new", "regular"),
        "weekday": ("0", "1", "6"),
        "genres": ("drama", "noir"),
    },
    edges={"age": (20.0, 40.0), "price": (1.0, 5.0, 9.0), "ranking_score": (-1.0, 0.0, 1.0)},
)
LIST_LENGTH = 3
REQUESTS = [
    Request(
        candidates=[
            {"item_id": 11, "genres": "drama|noir", "price": 3, "ranking_score": 0.5},
            {"item_id": 12, "genres": "noir", "price": 7.5, "ranking_score": -2.0},
            {"item_id": 13, "genres": None, "price": 0.5, "ranking_score": 2.0},
            {"item_id": 14, "genres": "drama", "price": None, "ranking_score": 0.0},
        ],
        user={"segment": "new", "age": 33},
        context={"weekday": 6},
        request_id=7,
    ),
    Request(
        candidates=[
            {"item_id": "a", "genres": "noir", "price": 2, "ranking_score": -0.5},
            {"item_id": "b", "genres": "drama", "price": 12, "ranking_score": 1.5},
        ],
        user={"segment": "regular"},
        context={},
        request_id="eight",
    ),
]


def trained(seed: int) -> TrainedWeights:
    """Untrained weights drawn large, so that versions that differ give lists that differ."""
    torch.manual_seed(seed)
    config = GeneratorConfig(embedding_dim=4, width=8, layers=1, heads=2, feedforward=8, field_heads=2)
    generator = build_generator(SPACE.sizes(), LIST_LENGTH, config)
    with torch.no_grad():
        for table in (generator.features.static, generator.features.candidate):
            table.table.weight.normal_(std=2.0)
        generator.combine.weight.mul_(3.0)
    return store(generator, SPACE.sizes(), LIST_LENGTH, config)


def trained_ranking() -> TrainedRanking:
    """An untrained model that scores candidates by all fields but the ranking score."""
    torch.manual_seed(5)
    fields = tuple(field for field in SPACE.fields if field.name != "ranking_score")
    edges = {name: edges for name, edges in SPACE.edges.items() if name != "ranking_score"}
    space = FeatureSpace(fields, SPACE.vocabularies, edges)
    model = PointwiseClickModel(space.sizes(), 4)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3.0)
    return TrainedRanking(store_ranking_model(model, space.sizes(), 4), space)


def register(seed: int, ranking: TrainedRanking | None = None) -> str:
    """Registers a model in the database that MLflow points at. Returns: Its version."""
    with mlflow.start_run():
        logged = log_reranker(trained(seed), SPACE, REQUESTS, name=NAME, metadata={}, ranking=ranking)
    return str(mlflow.register_model(logged.model_uri, NAME).version)
