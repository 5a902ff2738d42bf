"""The head follows what whole held-out lists say; slots are learned only where the log tells them apart."""

from dataclasses import replace

import pytest
import torch

from degre_pipeline.reranker import head_choice
from degre_pipeline.reranker.evaluator_training import train_evaluator
from degre_pipeline.reranker.head_choice import seen_below, squared_errors, train_by_data, with_head
from degre_pipeline.reranker.metrics import Estimate
from degre_pipeline.reranker.models.builders import build_evaluator
from degre_pipeline.reranker.models.model_config import EvaluatorConfig
from degre_pipeline.reranker.models.stored_models import store
from degre_pipeline.reranker.requests import Requests
from degre_pipeline.reranker.search.valuation import list_values
from degre_pipeline.reranker.training.training_config import TrainingConfig

SHAPE = {"embedding_dim": 4, "width": 8, "layers": 1, "heads": 2, "feedforward": 16, "position_dim": 4}
OPEN = EvaluatorConfig(**SHAPE, head="by_data")
TRAINING = TrainingConfig(epochs=3, batch_size=64, learning_rate=1e-2, device="cpu")


class Trainer:
    """Stores untrained evaluators, and remembers of which heads."""

    def __init__(self, sizes) -> None:
        self.sizes, self.heads = sizes, []

    def __call__(self, config: EvaluatorConfig):
        self.heads.append(config.head)
        torch.manual_seed(0)
        evaluator = build_evaluator(self.sizes, 4, config)
        return store(evaluator, self.sizes, 4, config), [{"epoch": 1.0, "head": config.head}]


@pytest.fixture
def trainer(sizes):
    return Trainer(sizes)


def chosen(trainer, make_requests, config=OPEN, *, varied=True):
    return train_by_data(trainer, make_requests(60), make_requests(50, seed=1), config, varied=varied)


def test_a_head_that_the_settings_name_is_trained_and_no_row_written(trainer, make_requests) -> None:
    config = replace(OPEN, head="cumulative")
    weights, _, rows = chosen(trainer, make_requests, config, varied=False)

    assert (trainer.heads, rows) == (["cumulative"], [])
    assert weights.config["settings"]["head"] == "cumulative"
    assert with_head(config, rows) == config


@pytest.mark.parametrize(
    ("head", "varied", "expected"),
    [("by_support", True, "slot_clicks"), ("by_support", False, "appeal"), ("by_data", False, "appeal")],
)
def test_no_head_is_compared_where_slots_follow_the_score_or_settings_say_so(
    trainer, make_requests, head, varied, expected
) -> None:
    weights, _, rows = chosen(trainer, make_requests, replace(OPEN, head=head), varied=varied)

    assert trainer.heads == [expected]
    assert weights.config["settings"]["head"] == expected
    assert [(row["head"], row["chosen"], row["error"]) for row in rows] == [(expected, True, None)]
    assert with_head(OPEN, rows).head == expected


def test_one_head_is_trained_where_whole_lists_say_nothing_new(trainer, make_requests, monkeypatch) -> None:
    monkeypatch.setattr(head_choice, "seen_below", lambda *_: Estimate(-0.01, -0.03, 0.001))
    weights, history, rows = chosen(trainer, make_requests)

    assert trainer.heads == ["slot_clicks"]
    assert weights.config["settings"]["head"] == history[0]["head"] == "slot_clicks"
    assert (rows[0]["seen_below"], rows[0]["low"], rows[0]["high"]) == (-0.01, -0.03, 0.001)


@pytest.mark.parametrize("best", ["slot_clicks", "hindsight", "cumulative"])
def test_the_head_with_the_least_error_is_taken_where_what_stands_below_matters(
    trainer, make_requests, monkeypatch, best
) -> None:
    def errors(trained, requests):
        return torch.full((len(requests),), 0.5 if trained.config["settings"]["head"] == best else 1.0)

    monkeypatch.setattr(head_choice, "seen_below", lambda *_: Estimate(-0.02, -0.03, -0.01))
    monkeypatch.setattr(head_choice, "squared_errors", errors)
    weights, history, rows = chosen(trainer, make_requests)

    assert trainer.heads == ["slot_clicks", "hindsight", "cumulative"]
    assert weights.config["settings"]["head"] == history[0]["head"] == with_head(OPEN, rows).head == best
    assert {row["head"]: row["error"] for row in rows if row["chosen"]} == {best: 0.5}
    assert [row["seen_below"] for row in rows] == [-0.02, None, None]


def test_the_error_is_that_of_the_value_of_the_whole_list(sizes, make_requests) -> None:
    requests = make_requests(5, real=[8, 8, 2, 8, 1])
    config = replace(OPEN, head="slot_clicks")
    evaluator = build_evaluator(sizes, 4, config).eval()
    values = list_values(evaluator, requests, requests.shown[:, None])[:, 0]
    found = squared_errors(store(evaluator, sizes, 4, config), requests)

    assert torch.allclose(found.float(), (requests.clicks.sum(1) - values).square(), atol=1e-5)


def clicked_where(requests: Requests, *, below: bool) -> Requests:
    """Clicks of each slot depend on its item and, where asked for, on the category of the last item."""
    categories = requests.candidates[..., 0].gather(1, requests.exposed)
    chance = 0.2 + 0.1 * (categories % 3)
    if below:
        chance = chance + 0.4 * (categories[:, -1:] > 2) * (torch.arange(4) < 3)
    luck = torch.rand(chance.shape, generator=torch.Generator().manual_seed(len(requests)))
    return replace(requests, clicks=(luck < chance).float())


@pytest.mark.parametrize("below", [True, False])
def test_what_the_last_row_has_seen_below_the_other_slots_is_found_and_nothing_else(
    sizes, make_requests, below
) -> None:
    learn = clicked_where(make_requests(4000, seed=3), below=below)
    check = clicked_where(make_requests(2000, seed=4), below=below)

    def train(config: EvaluatorConfig):
        return train_evaluator(learn, check, sizes=sizes, config=config, training=TRAINING, name="trial")

    _, _, rows = train_by_data(train, learn, check, OPEN, varied=True)

    assert (rows[0]["high"] < 0) == below
    assert (next(row["head"] for row in rows if row["chosen"]) != "slot_clicks") == below


def test_the_comparison_draws_the_same_features_again(make_evaluator, make_requests) -> None:
    evaluator = make_evaluator(head="slot_clicks").float()
    learn, check = make_requests(200), make_requests(100, seed=1)

    assert seen_below(evaluator, learn, check) == seen_below(evaluator, learn, check)
