"""The head that fits whole held-out lists best is chosen, and none where the log cannot tell."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from degre_pipeline.reranker import head_choice
from degre_pipeline.reranker.head_choice import (
    TRIED,
    HeadChoiceConfig,
    choose_head,
    compare_heads,
    surprise,
    with_head,
)
from degre_pipeline.reranker.models.evaluator import LookaheadEvaluator
from degre_pipeline.reranker.models.model_config import EvaluatorConfig
from degre_pipeline.reranker.training.training_config import TrainingConfig

SMALL = EvaluatorConfig(
    embedding_dim=4, width=8, layers=1, heads=2, feedforward=16, position_dim=4, head="by_data"
)
TRAINING = TrainingConfig(epochs=9, batch_size=32, learning_rate=5e-3, device="cpu")


def chosen(config: EvaluatorConfig, *, varied: bool, sizes, make_requests, requests: int = 0):
    return choose_head(
        make_requests(40),
        make_requests(30, seed=1),
        varied=varied,
        sizes=sizes,
        config=config,
        training=TRAINING,
        choice=HeadChoiceConfig(requests=requests, epochs=1),
    )


def heads(rows) -> dict[str, bool]:
    return {row["head"]: row["chosen"] for row in rows}


def test_a_head_that_is_not_left_open_stays(sizes, make_requests) -> None:
    config = replace(SMALL, head="cumulative")
    rows = chosen(config, varied=True, sizes=sizes, make_requests=make_requests)

    assert rows == []
    assert with_head(config, rows) == config


@pytest.mark.parametrize(
    ("head", "varied", "expected"),
    [("by_support", True, "slot_clicks"), ("by_support", False, "appeal"), ("by_data", False, "appeal")],
)
def test_nothing_is_tried_where_slots_follow_the_score_or_settings_say_so(
    sizes, make_requests, head, varied, expected
) -> None:
    rows = chosen(replace(SMALL, head=head), varied=varied, sizes=sizes, make_requests=make_requests)

    assert heads(rows) == {expected: True}
    assert rows[0]["surprise"] is None
    assert with_head(SMALL, rows).head == expected


def test_every_head_is_tried_for_the_epochs_of_a_trial_on_the_requests_of_a_trial(
    sizes, make_requests, monkeypatch
) -> None:
    trials = []

    def train(learn, check, *, config, training, name, **kept):
        trials.append((config.head, config.members, training.epochs, len(learn), name))
        return train_evaluator(learn, check, config=config, training=training, name=name, **kept)

    train_evaluator = head_choice.train_evaluator
    monkeypatch.setattr(head_choice, "train_evaluator", train)
    rows = chosen(
        replace(SMALL, members=3), varied=True, sizes=sizes, make_requests=make_requests, requests=25
    )

    assert trials == [(head, 1, 1, 25, f"trial_{head}") for head in TRIED]
    assert [row["head"] for row in rows] == list(TRIED)
    assert sum(row["chosen"] for row in rows) == 1
    assert all(math.isfinite(row["surprise"]) for row in rows)


class TestComparison:
    same = torch.tensor([1.0, 2.0, 3.0, 2.0] * 50)
    noise = torch.tensor([0.5, -0.5] * 100)

    def test_the_first_stays_where_no_other_is_certainly_better(self) -> None:
        rows = compare_heads({"slot_clicks": self.same, "hindsight": self.same - 0.01 + 2 * self.noise})

        assert heads(rows) == {"slot_clicks": True, "hindsight": False}
        assert rows[1]["difference"] == pytest.approx(-0.01)
        assert rows[1]["low"] < 0 < rows[1]["high"]

    def test_the_least_surprised_of_the_certainly_better_ones_is_chosen(self) -> None:
        rows = compare_heads(
            {
                "slot_clicks": self.same,
                "hindsight": self.same - 0.2 + self.noise,
                "cumulative": self.same - 0.3 + self.noise,
                "survival": self.same - 0.4 + 20 * self.noise,
            }
        )

        assert heads(rows) == {
            "slot_clicks": False,
            "hindsight": False,
            "cumulative": True,
            "survival": False,
        }
        assert rows[2]["reason"] == "the least surprise by whole lists"


class Fixed(torch.nn.Module):
    """Says the given levels of every list."""

    def __init__(self, levels: Tensor) -> None:
        super().__init__()
        self.said = torch.nn.Parameter(levels)

    def levels(self, static: Tensor, items: Tensor) -> Tensor:
        return self.said.expand(len(items), -1, -1)


class TestSurprise:
    def test_is_that_of_the_number_of_clicks_of_the_whole_list(self, make_requests) -> None:
        requests = make_requests(2, n=5, slots=3, real=[5, 2])
        requests = replace(requests, clicks=torch.tensor([[0.0, 1.0, 0.0], [1.0, 1.0, 0.0]]))
        levels = torch.tensor([[0.4, 0, 0], [0.6, 0.1, 0], [0.7, 0.3, 0.05]])
        found = surprise(Fixed(levels), requests, batch_size=1)

        assert found.tolist() == pytest.approx([-math.log(0.7 - 0.3), -math.log(0.1)])

    def test_levels_that_rise_count_as_flat_and_nothing_is_impossible(self, make_requests) -> None:
        requests = make_requests(1, n=5, slots=2)
        requests = replace(requests, clicks=torch.tensor([[1.0, 0.0]]))

        assert surprise(Fixed(torch.tensor([[0.5, 0], [0.5, 0.6]])), requests, 8).tolist() == pytest.approx(
            [-math.log(1e-6)]
        )

    @pytest.mark.parametrize("head", ["slot_clicks", "hindsight", "survival"])
    def test_the_chances_of_all_numbers_sum_to_one(self, make_evaluator, make_requests, head) -> None:
        evaluator: LookaheadEvaluator = make_evaluator(head=head)
        total = torch.zeros(3, dtype=torch.float64)
        for clicks in range(5):
            requests = make_requests(3)
            counted = (torch.arange(4) < clicks).float().expand(3, -1)
            total += (-surprise(evaluator, replace(requests, clicks=counted), 2)).exp()

        assert total.tolist() == pytest.approx([1.0] * 3, abs=1e-5)


def test_wrong_settings_are_named() -> None:
    with pytest.raises(ValueError, match="requests is -1; allowed: 0"):
        HeadChoiceConfig(requests=-1)
    with pytest.raises(ValueError, match="epochs is 0; allowed: 1 or more"):
        HeadChoiceConfig(epochs=0)
