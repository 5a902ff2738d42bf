"""Requests of MovieLens-1M's shape with random content, and untrained models for them."""

import torch
from torch import Tensor

from degre_pipeline.reranker.models.builders import build_evaluator
from degre_pipeline.reranker.models.evaluator import LookaheadEvaluator
from degre_pipeline.reranker.models.generator import OnlineGenerator, build_generator
from degre_pipeline.reranker.models.model_config import EvaluatorConfig, EvaluatorHead, GeneratorConfig
from degre_pipeline.reranker.requests import Requests
from degre_pipeline.reranker.schema import FieldSize
from degre_pipeline.reranker.training.loop import seeded

FIELDS = (
    FieldSize("user_id", "categorical", "user", 1, 6041),
    FieldSize("gender", "categorical", "user", 1, 3),
    FieldSize("age", "categorical", "user", 1, 8),
    FieldSize("occupation", "categorical", "user", 1, 22),
    FieldSize("hour", "categorical", "context", 1, 25),
    FieldSize("weekday", "categorical", "context", 1, 8),
    FieldSize("item_id", "categorical", "item", 1, 3707),
    FieldSize("genres", "tags", "item", 4, 19),
    FieldSize("year", "numeric", "item", 1, 33),
    FieldSize("ranking_score", "numeric", "score", 1, 33),
)
CANDIDATES, SLOTS = 12, 6
CLICK_RATE = 0.2


def made_up_requests(count: int, candidates: int = CANDIDATES, slots: int = SLOTS) -> Requests:
    """Returns requests with ids, features, lists and clicks drawn at random."""
    static = [field for field in FIELDS if not field.per_candidate]
    candidate = [field for field in FIELDS if field.per_candidate]
    return Requests(
        request_id=torch.arange(count),
        split=torch.zeros(count, dtype=torch.uint8),
        role=torch.zeros(count, dtype=torch.uint8),
        static=_indices((count,), static),
        candidates=_indices((count, candidates), candidate),
        mask=torch.ones(count, candidates, dtype=torch.bool),
        scores=torch.randn(count, candidates),
        exposed=torch.rand(count, candidates).argsort(1)[:, :slots].contiguous(),
        exposed_mask=torch.ones(count, slots, dtype=torch.bool),
        clicks=(torch.rand(count, slots) < CLICK_RATE).float(),
    )


def _indices(shape: tuple[int, ...], fields: list[FieldSize]) -> Tensor:
    columns = [torch.randint(0, field.indices, (*shape, field.columns)) for field in fields]
    return torch.cat(columns, -1).int()


def evaluator(slots: int = SLOTS, width: int = 64, head: EvaluatorHead = "cumulative") -> LookaheadEvaluator:
    """Returns an evaluator of the paper's depth in eval mode."""
    config = EvaluatorConfig(width=width, feedforward=4 * width, head=head)
    with seeded(0):
        return build_evaluator(FIELDS, slots, config).eval()


def generator(slots: int = SLOTS) -> OnlineGenerator:
    """Returns a generator of the paper's depth in eval mode."""
    with seeded(0):
        return build_generator(FIELDS, slots, GeneratorConfig()).eval()
