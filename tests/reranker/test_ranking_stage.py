from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from degre_pipeline.reranker import ranking_stage
from degre_pipeline.reranker.batching import Requests
from degre_pipeline.reranker.ranking_stage import RankingStageConfig, out_of_fold_scores, pointwise_loss

CONFIG = RankingStageConfig(folds=3, embedding_dim=4, epochs=2, batch_size=8)
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
