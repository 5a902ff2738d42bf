"""Requests of users with tastes of their own; items with an even number please even users."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from degre_pipeline.judging.click_references import click_references
from degre_pipeline.judging.evaluation_config import EvaluationConfig
from degre_pipeline.reranker.metrics import group_auc
from degre_pipeline.reranker.requests import Requests

USERS, ITEMS = torch.arange(1500) % 30, 12
CONFIG = EvaluationConfig(device="cpu")


@pytest.fixture(scope="module")
def items() -> torch.Tensor:
    drawn = torch.rand(1500, ITEMS, generator=torch.Generator().manual_seed(3)).argsort(1)[:, :5] + 1
    drawn[-1, 0] = ITEMS + 1  # an item that was never shown in training
    return drawn


@pytest.fixture(scope="module")
def log(items: torch.Tensor) -> Requests:
    """Lists of four of five candidates, in the order of the candidates; the score says nothing."""
    liked = (items % 2 == USERS[:, None] % 2).float()[:, :4]
    generator = torch.Generator().manual_seed(4)
    return Requests(
        request_id=torch.arange(1500),
        split=torch.tensor([0] * 1200 + [1] * 100 + [2] * 200, dtype=torch.uint8),
        role=torch.zeros(1500, dtype=torch.uint8),
        static=torch.zeros(1500, 0, dtype=torch.int32),
        candidates=torch.zeros(1500, 5, 1, dtype=torch.int32),
        mask=torch.ones(1500, 5, dtype=torch.bool),
        scores=torch.rand(1500, 5, generator=generator),
        exposed=torch.arange(4).expand(1500, 4),
        exposed_mask=torch.ones(1500, 4, dtype=torch.bool),
        clicks=torch.bernoulli(0.1 + 0.8 * liked, generator=generator),
    )


def test_only_the_factor_model_knows_tastes_of_single_users(log: Requests, items: torch.Tensor) -> None:
    found = click_references(log, USERS, items, CONFIG)
    test = log.of("test")
    gauc = {
        name: np.nanmean(group_auc(test.clicks.numpy(), scores, test.exposed_mask.numpy()))
        for name, scores in found.items()
    }

    assert list(found) == ["ranking_score", "item_mean", "factor_model"]
    assert {scores.shape for scores in found.values()} == {(200, 4)}
    assert gauc["factor_model"] > 0.85
    assert max(gauc["ranking_score"], gauc["item_mean"]) < 0.6


def test_the_clicks_of_test_requests_change_nothing(log: Requests, items: torch.Tensor) -> None:
    flipped = replace(log, clicks=torch.where(log.split[:, None] == 2, 1 - log.clicks, log.clicks))
    one, other = (click_references(requests, USERS, items, CONFIG) for requests in (log, flipped))

    for name, scores in one.items():
        assert np.array_equal(scores, other[name])


def test_an_item_that_was_never_shown_has_the_mean_rate(log: Requests, items: torch.Tensor) -> None:
    found = click_references(log, USERS, items, CONFIG)
    shown = log.of("train").clicks

    assert found["item_mean"][-1, 0] == pytest.approx(float(shown.mean()))
