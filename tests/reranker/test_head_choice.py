"""The head follows what whole held-out lists say; slots are learned only where the log tells them apart."""

import math
from dataclasses import replace

import pytest
import torch

from degre_pipeline.reranker import head_choice
from degre_pipeline.reranker.evaluator_training import train_evaluator
from degre_pipeline.reranker.head_choice import surprises, train_by_data, with_head
from degre_pipeline.reranker.models.builders import build_evaluator
from degre_pipeline.reranker.models.ensemble import EvaluatorEnsemble
from degre_pipeline.reranker.models.model_config import EvaluatorConfig
from degre_pipeline.reranker.models.stored_models import store
from degre_pipeline.reranker.requests import Requests, gather_candidates
from degre_pipeline.reranker.training.training_config import TrainingConfig

SHAPE = {"embedding_dim": 4, "width": 8, "layers": 1, "heads": 2, "feedforward": 16, "position_dim": 4}
OPEN = EvaluatorConfig(**SHAPE, head="by_data", company_channels=4)
TRAINING = TrainingConfig(epochs=3, batch_size=64, learning_rate=1e-2, device="cpu")


class Trainer:
    """Stores untrained evaluators, and remembers of which heads."""

    def __init__(self, sizes) -> None:
        self.sizes, self.heads, self.members = sizes, [], []

    def __call__(self, config: EvaluatorConfig):
        self.heads.append(config.head)
        self.members.append(config.members)
        torch.manual_seed(0)
        members = [build_evaluator(self.sizes, 4, config) for _ in range(config.members)]
        evaluator = EvaluatorEnsemble(members) if len(members) > 1 else members[0]
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
    assert [(row["head"], row["chosen"], row["surprise"]) for row in rows] == [(expected, True, None)]
    assert with_head(OPEN, rows).head == expected


def surprised_as(monkeypatch, level: dict[str, float]) -> None:
    """Makes heads as surprised by every list as told, give or take what all lists share."""
    noise = torch.linspace(-0.5, 0.5, 50, dtype=torch.float64)

    def of(trained, requests):
        head = trained.config["settings"]["head"]
        return 3.0 + level.get(head, 0.0) + noise * (2.0 if head == "page_company" else 1.0)

    monkeypatch.setattr(head_choice, "surprises", of)


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ({}, "company"),
        ({"page_company": -0.01}, "company"),  # lower, but its lists differ by more than that
        ({"page_company": -0.4, "leaving_company": -0.2}, "page_company"),
        ({"leaving_company": -0.01, "slot_clicks": 0.3}, "leaving_company"),
    ],
)
def test_the_head_is_left_only_for_one_that_is_certainly_less_surprised(
    trainer, make_requests, monkeypatch, level, expected
) -> None:
    surprised_as(monkeypatch, level)
    weights, history, rows = chosen(trainer, make_requests)

    assert trainer.heads == ["company", "page_company", "leaving_company", "slot_clicks"]
    assert weights.config["settings"]["head"] == history[0]["head"] == with_head(OPEN, rows).head == expected
    assert [row["head"] for row in rows if row["chosen"]] == [expected]
    differences = {row["head"]: row["difference"] for row in rows}
    assert differences == {
        head: None if head == "company" else pytest.approx(level.get(head, 0.0)) for head in trainer.heads
    }


def test_single_evaluators_are_compared_and_an_ensemble_is_trained_of_the_best(
    trainer, make_requests, monkeypatch
) -> None:
    surprised_as(monkeypatch, {"page_company": -0.4})
    weights, _, _ = chosen(trainer, make_requests, replace(OPEN, members=3, in_one=True))

    assert trainer.heads == ["company", "page_company", "leaving_company", "slot_clicks", "page_company"]
    assert trainer.members == [1, 1, 1, 1, 3]
    settings = weights.config["settings"]
    assert (settings["head"], settings["members"]) == ("page_company", 3)


@pytest.mark.parametrize(
    ("level", "expected"),
    [({"slot_clicks": -0.1}, "slot_clicks"), ({"slot_clicks": -0.1, "survival": -0.2}, "survival")],
)
def test_other_transformers_are_tried_where_the_transformer_is_best(
    trainer, make_requests, monkeypatch, level, expected
) -> None:
    surprised_as(monkeypatch, level)
    _, _, rows = chosen(trainer, make_requests)

    assert trainer.heads[4:] == ["hindsight", "survival"]
    assert with_head(OPEN, rows).head == expected


@pytest.mark.parametrize("head", ["company", "page_company", "slot_clicks", "hindsight"])
def test_surprise_is_that_of_the_whole_list_and_of_members_their_mean(sizes, make_requests, head) -> None:
    requests = make_requests(5, real=[8, 8, 2, 8, 1])
    configs = [replace(OPEN, head=head, members=members) for members in (1, 2)]
    first, second = (build_evaluator(sizes, 4, configs[0]).eval() for _ in range(2))

    def by_hand(evaluator, row: int) -> float:
        items = gather_candidates(requests.candidates, requests.exposed)
        logits = evaluator(requests.static, items)[row]
        filled = int(requests.exposed_mask[row].sum())
        seen = logits[filled - 1] if head in ("hindsight", "page_company") else logits[:, 0]
        chance = seen.detach().sigmoid()
        return -sum(
            math.log(float(chance[s] if requests.clicks[row, s] else 1 - chance[s])) for s in range(filled)
        )

    found = surprises(store(first, sizes, 4, configs[0]), requests)
    assert found.tolist() == pytest.approx([by_hand(first, row) for row in range(5)], rel=1e-4)
    together = store(EvaluatorEnsemble([first, second]), sizes, 4, configs[1])
    means = [(by_hand(first, row) + by_hand(second, row)) / 2 for row in range(5)]
    assert surprises(together, requests).tolist() == pytest.approx(means, rel=1e-4)


def test_a_head_that_does_not_say_which_slots_are_clicked_has_no_surprise(sizes, make_requests) -> None:
    config = replace(OPEN, head="cumulative")
    stored = store(build_evaluator(sizes, 4, config), sizes, 4, config)
    with pytest.raises(NotImplementedError, match="how many slots are clicked, not which"):
        surprises(stored, make_requests(3))


def clicked_where(requests: Requests, world: str) -> Requests:
    """Clicks follow the item; on a page also the category of the last item; some items make users leave."""
    categories = requests.candidates[..., 0].gather(1, requests.exposed)
    chance = 0.2 + 0.1 * (categories % 3)
    if world == "page":
        chance = chance + 0.4 * (categories[:, -1:] > 2) * (torch.arange(4) < 3)
    luck = torch.rand(chance.shape, generator=torch.Generator().manual_seed(len(requests)))
    clicks = (luck < chance).float()
    if world == "leaving":
        goes = torch.rand(chance.shape, generator=torch.Generator().manual_seed(1)) > 0.7
        leaves = (categories % 2 == 1) & ~goes
        clicks = clicks * (leaves.long().cumsum(1) - leaves.long() == 0)
    return replace(requests, clicks=clicks)


@pytest.mark.parametrize(
    ("world", "expected"), [("plain", "company"), ("page", "page_company"), ("leaving", "leaving_company")]
)
def test_the_head_of_the_world_is_found(sizes, make_requests, world, expected) -> None:
    learn, check = (clicked_where(make_requests(n, seed=n), world) for n in (6000, 3000))

    def train(config: EvaluatorConfig):
        return train_evaluator(learn, check, sizes=sizes, config=config, training=TRAINING, name="trial")

    _, _, rows = train_by_data(train, learn, check, OPEN, varied=True)

    assert [row["head"] for row in rows if row["chosen"]] == [expected], rows
