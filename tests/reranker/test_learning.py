"""The models learn on the small shop what can be learned there, and nothing where there is nothing."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from degre_pipeline.reranker.losses import cumulative_regression_loss
from degre_pipeline.reranker.mined_requests import MinedRequests
from degre_pipeline.reranker.models.builders import build_evaluator
from degre_pipeline.reranker.models.generator import build_generator
from degre_pipeline.reranker.models.model_config import EvaluatorConfig, GeneratorConfig
from degre_pipeline.reranker.requests import Requests
from degre_pipeline.reranker.schema import FieldSize
from degre_pipeline.reranker.search.beam import beam_search
from degre_pipeline.reranker.training.loop import fit
from degre_pipeline.reranker.training.objectives import DistillationConfig, DistillationLoss, EvaluatorLoss
from degre_pipeline.reranker.training.training_config import TrainingConfig

TRAINING = TrainingConfig(epochs=8, batch_size=64, learning_rate=5e-3, patience=8, device="cpu")
SHAPE: dict[str, Any] = {"embedding_dim": 8, "width": 32, "layers": 1, "heads": 2, "feedforward": 64}


@pytest.fixture(scope="module")
def shop(shop_data) -> tuple[Requests, tuple[FieldSize, ...]]:
    tensors, space = shop_data
    return tensors, space.sizes()


def shares(requests: Requests) -> Tensor:
    """How often k clicks were reached after slot t, [t, k]."""
    levels = torch.arange(1, requests.list_length + 1)
    return (requests.clicks.cumsum(1)[..., None] >= levels).float().mean(0)


def constant_loss(training: Requests, validation: Requests) -> float:
    """The validation loss of always predicting the shares of the training requests."""
    logits = shares(training).clamp(1e-3, 1 - 1e-3).logit().expand(len(validation), -1, -1)
    return float(cumulative_regression_loss(logits, validation.clicks.cumsum(1), validation.exposed_mask))


def best_loss(training: Requests, validation: Requests, sizes: tuple[FieldSize, ...]) -> float:
    torch.manual_seed(0)
    evaluator = build_evaluator(sizes, training.list_length, EvaluatorConfig(**SHAPE))
    history = fit(evaluator, EvaluatorLoss(evaluator), training, validation, TRAINING, label="evaluator")
    return min(row["validation_loss"] for row in history)


def test_the_evaluator_beats_the_constant_prediction(shop) -> None:
    requests, sizes = shop
    training, validation = requests.of("train"), requests.of("validation")

    assert best_loss(training, validation, sizes) < constant_loss(training, validation) - 0.15


def test_the_evaluator_learns_nothing_from_shuffled_clicks(shop) -> None:
    requests, sizes = shop
    generator = torch.Generator().manual_seed(0)
    shuffled = [
        replace(part, clicks=part.clicks[torch.randperm(len(part), generator=generator)])
        for part in (requests.of("train"), requests.of("validation"))
    ]

    assert best_loss(*shuffled, sizes) > constant_loss(*shuffled) - 0.04


@pytest.mark.parametrize("cross_attention", [False, True])
def test_distillation_reproduces_the_teacher(shop, cross_attention: bool) -> None:
    requests, sizes = shop
    some = requests.of("train").select(slice(0, 128))
    torch.manual_seed(1)
    teacher = build_evaluator(sizes, 4, EvaluatorConfig(**SHAPE)).eval()
    found = beam_search(teacher, some, beam_size=2)
    mined = MinedRequests.of(some, found.sequences, found.values, found.step_values)
    student = build_generator(
        sizes, 4, GeneratorConfig(**SHAPE, dropout=0.0, cross_attention=cross_attention)
    )
    before = same_lists(student.eval(), some, found.sequences[:, 0])
    config = replace(TRAINING, epochs=30, batch_size=32, patience=30)
    fit(student, DistillationLoss(DistillationConfig()), mined, mined, config, label="generator")

    # One list in 8 * 7 * 6 * 5 = 1,680 is the teacher's by chance.
    assert before < 0.05
    assert same_lists(student, some, found.sequences[:, 0]) > 0.5


def same_lists(student: torch.nn.Module, requests: Requests, teacher: Tensor) -> float:
    lists, _ = student.greedy_decode(requests.static, requests.candidates, requests.mask)
    return float((lists == teacher).all(1).float().mean())
