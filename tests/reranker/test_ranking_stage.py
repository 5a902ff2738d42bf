from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from degre_pipeline.reranker import ranking_stage
from degre_pipeline.reranker.metrics import area_under_roc
from degre_pipeline.reranker.models.stored_models import restore_ranking_model
from degre_pipeline.reranker.ranking_stage import (
    RankingStageConfig,
    out_of_fold_scores,
    pointwise_loss,
    train_ranking_model,
)
from degre_pipeline.reranker.requests import Requests

CONFIG = RankingStageConfig(folds=3, embedding_dim=4, steps=4, batch_size=8)
FOLDS = torch.arange(30) % 3


@pytest.fixture(scope="module")
def requests(make_requests) -> Requests:
    """Thirty requests in three folds; the last nine are for validation and test."""
    drawn = make_requests(30, n=5, slots=3)
    return replace(drawn, split=torch.tensor([0] * 21 + [1] * 6 + [2] * 3, dtype=torch.uint8))


def scores(requests: Requests, sizes: tuple[object, ...]) -> Tensor:
    return out_of_fold_scores(requests, FOLDS, sizes, CONFIG)


def with_flipped_clicks(requests: Requests, rows: Tensor) -> Requests:
    return replace(requests, clicks=torch.where(rows[:, None], 1 - requests.clicks, requests.clicks))


class Constant(nn.Module):
    def forward(self, static: Tensor, candidates: Tensor) -> Tensor:
        return candidates[..., 0].float()


def test_the_loss_is_a_mean_over_shown_items(make_requests) -> None:
    requests = make_requests(2, n=5, slots=3, real=[5, 2])
    pairs = [
        (float(requests.candidates[row, requests.exposed[row, slot], 0]), float(requests.clicks[row, slot]))
        for row, slot in requests.exposed_mask.nonzero().tolist()
    ]
    logits, clicks = torch.tensor(pairs).T

    assert len(pairs) == 5
    assert float(pointwise_loss(Constant(), requests)) == pytest.approx(
        float(binary_cross_entropy_with_logits(logits, clicks))
    )


@pytest.mark.parametrize("split", [0, 1, 2])
def test_the_clicks_of_a_fold_do_not_change_its_scores(requests, sizes, split: int) -> None:
    before = scores(requests, sizes)
    after = scores(with_flipped_clicks(requests, (FOLDS == 1) & (requests.split == split)), sizes)

    assert torch.equal(before[FOLDS == 1], after[FOLDS == 1])


def test_the_training_clicks_of_a_fold_change_the_scores_of_the_others(requests, sizes) -> None:
    before = scores(requests, sizes)
    after = scores(with_flipped_clicks(requests, (FOLDS == 1) & (requests.split == 0)), sizes)

    assert (before[FOLDS != 1] != after[FOLDS != 1]).any(1).all()


def test_a_model_neither_learns_from_nor_stops_by_its_own_fold(
    requests, sizes, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[set[int], set[int]]] = []

    def recorded(
        model: nn.Module, loss_of: object, learn: Requests, stop: Requests, *_: object, **__: object
    ) -> None:
        seen.append((set(learn.request_id.tolist()), set(stop.request_id.tolist())))

    monkeypatch.setattr(ranking_stage, "fit", recorded)
    scores(requests, sizes)

    for fold, (learn, stop) in enumerate(seen):
        others = requests.select(fold != FOLDS)
        assert learn == set(others.of("train").request_id.tolist())
        assert stop == set(others.of("validation").request_id.tolist())


def test_test_clicks_change_nothing(requests, sizes) -> None:
    flipped = with_flipped_clicks(requests, requests.split == 2)

    assert torch.equal(scores(requests, sizes), scores(flipped, sizes))


def test_every_candidate_gets_a_score(requests, sizes) -> None:
    drawn = scores(requests, sizes)

    assert drawn.shape == (30, 5)
    assert (drawn != 0).all()


def test_a_fold_that_holds_all_training_requests_is_named(requests, sizes) -> None:
    with pytest.raises(ValueError, match="training requests outside fold is 2"):
        out_of_fold_scores(requests, torch.full((30,), 2), sizes, CONFIG)


@pytest.mark.parametrize(
    ("requests", "batch_size", "passes"),
    [
        (10, 16, 3000),  # a step a pass
        (2_000, 32, 48),  # 62 steps a pass, in batches that are a multiple of 16
        (100_000, 1024, 30),  # 97 steps a pass
        (10_000_000, 1024, 1),  # of which only 3,000 x 1,024 are drawn
    ],
)
def test_a_small_log_gets_small_batches_and_a_large_one_no_more_steps(requests, batch_size, passes) -> None:
    training = RankingStageConfig().training(requests)

    assert (training.batch_size, training.epochs) == (batch_size, passes)


def test_no_model_learns_from_more_requests_than_its_steps_take(
    requests, sizes, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[int]] = []
    monkeypatch.setattr(
        ranking_stage, "fit", lambda model, loss, learn, *_, **__: seen.append(learn.request_id.tolist())
    )
    config = replace(CONFIG, steps=1, batch_size=7)
    for _ in range(2):
        train_ranking_model(requests, sizes, config)

    assert len(set(seen[0])) == 7
    assert seen[0] == sorted(seen[0]) == seen[1]
    assert set(seen[0]) < set(requests.of("train").request_id.tolist())


def test_the_model_for_requests_to_come_learns_from_all_training_requests(
    requests, sizes, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[list[int], list[int]]] = []
    monkeypatch.setattr(
        ranking_stage,
        "fit",
        lambda model, loss, learn, stop, *_, **__: seen.append(
            (learn.request_id.tolist(), stop.request_id.tolist())
        ),
    )
    train_ranking_model(requests, sizes, CONFIG)

    assert seen == [(requests.of("train").request_id.tolist(), requests.of("validation").request_id.tolist())]


def test_the_model_for_requests_to_come_is_stored_and_restored(requests, sizes) -> None:
    stored = train_ranking_model(requests, sizes, CONFIG, feature_space="abc")
    one, other = (restore_ranking_model(stored)(requests.static, requests.candidates) for _ in range(2))

    assert stored.config["feature_space"] == "abc"
    assert one.shape == (30, 5)
    assert torch.equal(one, other)
    with pytest.raises(ValueError, match="model is 'generator'; allowed: 'ranking'"):
        restore_ranking_model(replace(stored, config={"model": "generator"}))


def test_the_default_training_finds_what_drives_the_clicks_of_a_small_log(make_requests, sizes) -> None:
    drawn = make_requests(400, n=5, slots=3)
    category = torch.gather(drawn.candidates[..., 0], 1, drawn.exposed)
    chance = torch.sigmoid(2.0 * (category - 2.5))
    clicks = torch.bernoulli(chance, generator=torch.Generator().manual_seed(0))
    split = torch.tensor([0] * 280 + [1] * 60 + [2] * 60, dtype=torch.uint8)
    found = out_of_fold_scores(
        replace(drawn, clicks=clicks, split=split), torch.arange(400) % 3, sizes, RankingStageConfig()
    )

    by_score = area_under_roc(clicks.flatten().numpy(), found.gather(1, drawn.exposed).flatten().numpy())
    by_category = area_under_roc(clicks.flatten().numpy(), category.flatten().numpy())
    assert by_score > by_category - 0.02 > 0.8
