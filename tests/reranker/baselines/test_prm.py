"""PRM's loss and lists by hand, its frozen click model, and that it learns."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from degre_pipeline.reranker.baselines.prm import (
    PersonalizedReranker,
    PrmConfig,
    in_ranking_order,
    prm_loss,
    restore_prm,
    store_prm,
)
from degre_pipeline.reranker.models.pointwise import PointwiseClickModel
from degre_pipeline.reranker.ranking_stage import pointwise_loss
from degre_pipeline.reranker.requests import Requests, gather_candidates
from degre_pipeline.reranker.training.loop import fit
from degre_pipeline.reranker.training.training_config import TrainingConfig
from degre_pipeline.simulation.click_world import ClickTruth

CONFIG = PrmConfig(embedding_dim=4, width=8, blocks=2, heads=2, feedforward=16, dropout=0.1)


def build(sizes, places=8, list_length=4, config=CONFIG, seed=0) -> PersonalizedReranker:
    torch.manual_seed(seed)
    click_model = PointwiseClickModel(sizes, config.embedding_dim)
    return PersonalizedReranker(
        click_model, sizes, places=places, list_length=list_length, config=config
    ).eval()


class Given(nn.Module):
    """Gives the scores that it was told."""

    def __init__(self, scores: torch.Tensor) -> None:
        super().__init__()
        self.scores = scores

    def forward(self, static, candidates, mask):
        return self.scores.masked_fill(~mask, -math.inf)


def test_the_loss_is_that_of_the_clicked_among_the_exposed(make_requests):
    drawn = make_requests(2, n=4, slots=3, real=[4, 2])
    requests = replace(
        drawn,
        exposed=torch.tensor([[2, 0, 1], [1, 0, 0]]),
        exposed_mask=torch.tensor([[True, True, True], [True, True, False]]),
        clicks=torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]]),
    )
    scores = torch.tensor([[0.0, 1.0, 2.0, 50.0], [3.0, 4.0, 0.0, 0.0]])
    # The first list shows scores 2, 0 and 1, of which 2 and 1 are clicked; the second has no click.
    total = math.exp(2) + math.exp(0) + math.exp(1)
    expected = -(math.log(math.exp(2) / total) + math.log(math.exp(1) / total)) / 2
    assert float(prm_loss(Given(scores), requests)) == pytest.approx(expected)


def test_candidates_come_in_the_ranking_order_with_their_clicks(make_requests):
    requests = make_requests(5, n=8, slots=4, real=[8, 8, 6, 3, 1])
    ordered = in_ranking_order(requests)
    for row in range(5):
        real = int(requests.mask[row].sum())
        assert ordered.mask[row].tolist() == [True] * real + [False] * (8 - real)
        scores = ordered.scores[row, :real]
        assert scores.tolist() == sorted(requests.scores[row, requests.mask[row]].tolist(), reverse=True)
    shown = [gather_candidates(one.candidates, one.exposed)[one.exposed_mask] for one in (requests, ordered)]
    assert torch.equal(*shown)
    assert torch.equal(requests.clicks, ordered.clicks)


def test_the_list_is_the_order_of_the_scores_and_padding_is_never_in_it(sizes, make_requests):
    requests = in_ranking_order(make_requests(4, n=8, slots=4, real=[8, 5, 3, 1]))
    model = build(sizes)
    with torch.no_grad():
        scores = model(requests.static, requests.candidates, requests.mask)
    lists, log_probabilities = model.decode(requests.static, requests.candidates, requests.mask)
    for row, real in enumerate([8, 5, 3, 1]):
        best = scores[row, :real].argsort(descending=True)[:4].tolist()
        assert lists[row].tolist() == best + [-1] * (4 - len(best))
    first = scores[0] - scores[0].logsumexp(0)
    assert torch.allclose(log_probabilities[0, 0], first, atol=1e-5)
    assert log_probabilities[0, 1, lists[0, 0]] == -math.inf
    assert log_probabilities[0, 1].exp().sum() == pytest.approx(1.0, abs=1e-5)


def test_padding_changes_nothing_and_the_place_in_the_ranking_order_does(sizes, make_requests):
    model = build(sizes)
    requests = in_ranking_order(make_requests(3, n=5, slots=4))
    padded = nn.functional.pad(requests.candidates, (0, 0, 0, 3), value=1)
    mask = nn.functional.pad(requests.mask, (0, 3))
    with torch.no_grad():
        scores = model(requests.static, requests.candidates, requests.mask)
        longer = model(requests.static, padded, mask)
        moved = model(requests.static, requests.candidates.flip(1), requests.mask).flip(1)
    assert torch.allclose(longer[:, :5], scores, atol=1e-5)
    assert bool(longer[:, 5:].isneginf().all())
    assert not torch.allclose(moved, scores, atol=1e-3)


def test_more_candidates_than_places_share_the_last_place(sizes, make_requests):
    requests = in_ranking_order(make_requests(2, n=8, slots=4))
    scores = build(sizes, places=3)(requests.static, requests.candidates, requests.mask)
    assert bool(scores.isfinite().all())


def test_a_stored_model_gives_the_same_lists(sizes, make_requests):
    requests = in_ranking_order(make_requests(6, n=8, slots=4))
    model = build(sizes)
    trained = store_prm(model, sizes, CONFIG, "space")
    again = restore_prm(trained)
    given = requests.static, requests.candidates, requests.mask
    assert torch.equal(again.decode(*given)[0], model.decode(*given)[0])
    assert trained.config["feature_space"] == "space"
    with pytest.raises(ValueError, match="model of stored weights is 'generator'; allowed: prm"):
        restore_prm(replace(trained, config={**trained.config, "model": "generator"}))


@pytest.mark.parametrize(("name", "value"), [("blocks", 0), ("heads", 3), ("dropout", 1.0), ("width", "8")])
def test_a_setting_that_is_not_allowed_is_named(name, value):
    with pytest.raises(ValueError, match=f"{name} is {value!r}; allowed"):
        replace(CONFIG, **{name: value})


@pytest.fixture(scope="module")
def trained(shop_data) -> tuple[PersonalizedReranker, dict[str, torch.Tensor], Requests]:
    """PRM of the small shop, its click model's weights before it, and the test requests."""
    tensors, space = shop_data
    requests = tensors
    sizes = space.sizes()
    learn, check = (in_ranking_order(requests.of(split)) for split in ("train", "validation"))
    training = TrainingConfig(
        epochs=8, batch_size=64, learning_rate=5e-3, device="cpu", patience=8, resume=False
    )
    torch.manual_seed(0)
    click_model = PointwiseClickModel(sizes, 8)
    fit(click_model, pointwise_loss, learn, check, training, label="click model")
    before = {name: tensor.clone() for name, tensor in click_model.state_dict().items()}
    config = PrmConfig(embedding_dim=8, width=16, blocks=2, heads=2, feedforward=32, dropout=0.0)
    model = PersonalizedReranker(
        click_model, sizes, places=8, list_length=requests.list_length, config=config
    )
    fit(model, prm_loss, learn, check, training, label="PRM")
    return model, before, in_ranking_order(requests.of("test"))


def test_the_click_model_stays_as_it_was(trained):
    model, before, _ = trained
    after = model.click_model.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert not model.train().click_model.training


def test_it_beats_the_ranking_order_where_clicks_can_be_learned(trained, shop_data, shop_truth):
    model, _, ordered = trained
    model.eval()
    lists, _ = model.decode(ordered.static, ordered.candidates, ordered.mask)
    requests = shop_data[0].of("test")
    truth = ClickTruth.from_tensors(shop_truth).select(requests.request_id.tolist())
    order = requests.scores.argsort(dim=1, descending=True, stable=True)
    shown = torch.stack([order.gather(1, lists), order[:, : lists.shape[1]]], 1)
    learned, ranking = truth.utility(shown.numpy()).mean(0)
    assert learned > ranking
