from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from degre_pipeline.reranker import ranking_stage
from degre_pipeline.reranker.metrics import area_under_roc
from degre_pipeline.reranker.models.pointwise import PointwiseClickModel
from degre_pipeline.reranker.models.stored_models import restore_ranking_model, store_ranking_model
from degre_pipeline.reranker.ranking_stage import (
    RankingLoss,
    RankingStageConfig,
    pointwise_loss,
    scores_of_the_past,
    train_ranking_model,
)
from degre_pipeline.reranker.requests import Requests
from degre_pipeline.reranker.schema import FieldSize

CONFIG = RankingStageConfig(folds=3, embedding_dim=4, steps=4, batch_size=8)
FOLDS = torch.tensor([*range(3)] * 7 + [0] * 9)
"""Fold of each training request; what is not trained on has none."""


@pytest.fixture(scope="module")
def requests(make_requests) -> Requests:
    """Thirty requests in three folds; the last nine are for validation and test."""
    drawn = make_requests(30, n=5, slots=3)
    return replace(drawn, split=torch.tensor([0] * 21 + [1] * 6 + [2] * 3, dtype=torch.uint8))


def scores(requests: Requests, sizes: tuple[object, ...]) -> Tensor:
    return scores_of_the_past(requests, FOLDS, sizes, CONFIG)[0]


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


@pytest.mark.parametrize(("flipped", "unchanged"), [(1, [1]), (2, [0, 1, 2]), (0, [0])])
def test_the_clicks_of_a_fold_change_neither_its_scores_nor_earlier_ones(
    requests, sizes, flipped: int, unchanged: list[int]
) -> None:
    # The first fold is scored by a model of the second, so that clicks of the second change it.
    trains = requests.split == 0
    before = scores(requests, sizes)
    after = scores(with_flipped_clicks(requests, trains & (flipped == FOLDS)), sizes)

    for fold in range(3):
        rows = trains & (fold == FOLDS)
        assert torch.equal(before[rows], after[rows]) == (fold in unchanged)


def test_the_clicks_of_requests_that_are_not_trained_on_change_no_score(requests, sizes) -> None:
    for split in (1, 2):
        flipped = with_flipped_clicks(requests, requests.split == split)

        assert torch.equal(scores(requests, sizes), scores(flipped, sizes))


def test_a_model_learns_from_earlier_folds_and_stops_by_a_part_of_them(
    requests, sizes, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[set[int], set[int]]] = []

    def recorded(
        model: nn.Module, loss_of: object, learn: Requests, stop: Requests, *_: object, **__: object
    ) -> None:
        seen.append((set(learn.request_id.tolist()), set(stop.request_id.tolist())))

    monkeypatch.setattr(ranking_stage, "fit", recorded)
    monkeypatch.setattr(ranking_stage, "HELD_OUT_SHARE", 7)
    scores(requests, sizes)

    trains = requests.split == 0
    for (learn, stop), folds in zip(seen, ([1], [0], [0, 1], [0, 1, 2]), strict=True):
        rows = trains & torch.isin(FOLDS, torch.tensor(folds))
        assert learn | stop == set(requests.select(rows).request_id.tolist())
        assert not learn & stop
        assert len(stop) == len(folds)


def test_requests_to_come_are_scored_by_the_stored_model(requests, sizes) -> None:
    found, stored = scores_of_the_past(requests, FOLDS, sizes, CONFIG, feature_space="abc")
    later = requests.split != 0
    with torch.no_grad():
        again = restore_ranking_model(stored)(requests.static, requests.candidates)

    assert stored.config["feature_space"] == "abc"
    assert torch.allclose(found[later], again[later])
    assert not torch.isclose(found[~later], again[~later]).any()


def test_every_candidate_gets_a_score(requests, sizes) -> None:
    drawn = scores(requests, sizes)

    assert drawn.shape == (30, 5)
    assert (drawn != 0).all()


def test_a_fold_that_holds_all_training_requests_is_named(requests, sizes) -> None:
    with pytest.raises(ValueError, match="training requests outside fold is 2; allowed: one or more"):
        scores_of_the_past(requests, torch.full((30,), 2), sizes, CONFIG)


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
    seen: list[set[int]] = []
    monkeypatch.setattr(
        ranking_stage,
        "fit",
        lambda model, loss, learn, stop, *_, **__: seen.append(
            {*learn.request_id.tolist(), *stop.request_id.tolist()}
        ),
    )
    train_ranking_model(requests, sizes, CONFIG)

    assert seen == [set(requests.of("train").request_id.tolist())]


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
    found, _ = scores_of_the_past(
        replace(drawn, clicks=clicks, split=split), torch.arange(400) % 3, sizes, RankingStageConfig()
    )

    by_score = area_under_roc(clicks.flatten().numpy(), found.gather(1, drawn.exposed).flatten().numpy())
    by_category = area_under_roc(clicks.flatten().numpy(), category.flatten().numpy())
    assert by_score > by_category - 0.02 > 0.8


def additive(sizes: tuple[FieldSize, ...]) -> tuple[FieldSize, ...]:
    return tuple(replace(size, additive=size.kind == "categorical") for size in sizes)


def test_a_loss_in_training_counts_the_squares_of_what_additive_fields_add(make_requests, sizes) -> None:
    requests = make_requests(2, n=5, slots=3, real=[5, 2])
    model = PointwiseClickModel(additive(sizes), 4, dropout=0.0, factors=2)
    model.requires_grad_(False)
    loss = RankingLoss(model, penalty=0.5)
    offsets = model.offsets
    assert offsets is not None
    shown = requests.candidates.gather(1, requests.exposed[..., None].expand(-1, -1, 4))
    squares = [
        float(offsets.squares(requests.static[row, None], shown[row, None])[0, slot])
        for row, slot in requests.exposed_mask.nonzero().tolist()
    ]

    assert len(squares) == 5
    assert max(squares) > 0
    plain = float(pointwise_loss(model, requests))
    assert float(loss(model, requests)) == pytest.approx(plain + 0.5 * sum(squares) / 5)
    assert float(loss(model.eval(), requests)) == pytest.approx(plain)


def test_tastes_of_single_users_are_found_by_the_factors_of_their_ids() -> None:
    # Every user likes one of two kinds of items, which no field but the ids tells.
    generator = torch.Generator().manual_seed(0)
    users = torch.arange(2000) % 40
    items = torch.rand(2000, 20, generator=generator).argsort(1)[:, :6]
    liked = (items % 2 == users[:, None] % 2).float()
    requests = Requests(
        request_id=torch.arange(2000),
        split=torch.tensor([0] * 1600 + [1] * 200 + [2] * 200, dtype=torch.uint8),
        role=torch.zeros(2000, dtype=torch.uint8),
        static=users[:, None].int() + 1,
        candidates=items[..., None].int() + 1,
        mask=torch.ones(2000, 6, dtype=torch.bool),
        scores=torch.zeros(2000, 6),
        exposed=torch.arange(4).expand(2000, 4),
        exposed_mask=torch.ones(2000, 4, dtype=torch.bool),
        clicks=torch.bernoulli(0.1 + 0.8 * liked[:, :4], generator=generator),
    )
    sizes = (
        FieldSize("user_id", "categorical", "user", 1, 41, additive=True),
        FieldSize("item_id", "categorical", "item", 1, 21, additive=True),
    )
    config = RankingStageConfig(learning_rate=2e-2, factors=4)
    found, _ = scores_of_the_past(requests, torch.arange(2000) * 3 // 1600, sizes, config)
    test = requests.split == 2

    assert area_under_roc(liked[test].flatten().numpy(), found[test].flatten().numpy()) > 0.95


def test_a_model_of_the_last_release_reads_all_fields_in_its_network(requests, sizes) -> None:
    model = PointwiseClickModel(additive(sizes), 4).eval()
    stored = store_ranking_model(model, additive(sizes), 4)
    del stored.config["factors"]  # type: ignore[attr-defined]
    restored = restore_ranking_model(stored)

    assert restored.offsets is None
    assert torch.equal(
        restored(requests.static, requests.candidates), model(requests.static, requests.candidates)
    )
