import pytest
import torch

from degre_pipeline.reranker.baselines.nlgr_evaluator import (
    NlgrEvaluator,
    NlgrEvaluatorConfig,
    nlgr_evaluator_loss,
    restore_nlgr_evaluator,
    store_nlgr_evaluator,
)
from degre_pipeline.reranker.requests import gather_candidates
from degre_pipeline.reranker.training.loop import fit
from degre_pipeline.reranker.training.training_config import TrainingConfig

CONFIG = NlgrEvaluatorConfig(embedding_dim=4, hidden=16, dropout=0.0)


@pytest.fixture
def model(sizes) -> NlgrEvaluator:
    torch.manual_seed(0)
    return NlgrEvaluator(sizes, 4, CONFIG).double().eval()


def test_a_later_item_changes_the_click_of_an_earlier_slot(model, make_requests) -> None:
    requests = make_requests(1)
    lists = torch.tensor([[[0, 1, 2, 3], [0, 1, 2, 4]]])
    one, other = model.list_clicks(requests, lists)[0]

    assert not torch.allclose(one[:3], other[:3])


def test_empty_slots_have_no_influence_and_no_clicks(model, make_requests) -> None:
    requests = make_requests(1)
    clicks = model.list_clicks(requests, torch.tensor([[[2, 5, -1, -1]]]))[0, 0]
    items = gather_candidates(requests.candidates, torch.tensor([[2, 5]]))
    alone = model(requests.static, items, torch.ones(1, 2, dtype=torch.bool)).sigmoid()[0]

    assert clicks[2:].tolist() == [0.0, 0.0]
    assert torch.allclose(clicks[:2], alone)


def test_learns_what_is_clicked(sizes, make_requests) -> None:
    requests = make_requests(64)
    shown = requests.candidates.gather(
        1, requests.exposed[..., None].expand(-1, -1, requests.candidates.shape[2])
    )
    clicked = (shown[..., -1] > shown[..., -1].median()).float()
    learned = type(requests)(**{**requests.to_tensors(), "clicks": clicked})
    torch.manual_seed(0)
    model = NlgrEvaluator(sizes, 4, CONFIG)
    config = TrainingConfig(epochs=40, batch_size=32, learning_rate=0.02, patience=40, device="cpu")
    history = fit(model, nlgr_evaluator_loss, learned, learned, config, label="nlgr")

    assert history[0]["training_loss"] > 0.6
    assert history[-1]["validation_loss"] < 0.35


def test_is_restored_as_it_was_stored(model, sizes, make_requests) -> None:
    requests, lists = make_requests(2), torch.tensor([[[0, 1, 2, 3]], [[4, 3, 2, 1]]])
    stored = store_nlgr_evaluator(model.float(), sizes, 4, CONFIG, "space")
    again = restore_nlgr_evaluator(stored)

    assert torch.equal(again.list_clicks(requests, lists), model.list_clicks(requests, lists))
    assert stored.config["feature_space"] == "space"
    with pytest.raises(
        ValueError, match="model of the stored weights is 'evaluator'; allowed: nlgr_evaluator"
    ):
        restore_nlgr_evaluator(type(stored)(stored.weights, {**stored.config, "model": "evaluator"}))


@pytest.mark.parametrize(("name", "value"), [("hidden", 0), ("dropout", 1.0), ("embedding_dim", "wide")])
def test_settings_that_cannot_be_are_named(name, value) -> None:
    with pytest.raises(ValueError, match=f"{name} is {value!r}; allowed"):
        NlgrEvaluatorConfig(**{name: value})
