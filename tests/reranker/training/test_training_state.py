"""An interrupted training goes on to the very bits of an uninterrupted one."""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from degre_pipeline.reranker.training.epoch_records import EpochRecords, mined_each_epoch
from degre_pipeline.reranker.training.loop import fit
from degre_pipeline.reranker.training.objectives import EvaluatorLoss
from degre_pipeline.reranker.training.training_config import TrainingConfig
from degre_pipeline.reranker.training.training_state import State, identity_of

CPU = torch.device("cpu")
CONFIG = TrainingConfig(
    epochs=6,
    batch_size=8,
    accumulate=2,
    learning_rate=3e-2,
    schedule="one_cycle",
    weight_decay=0.01,
    patience=2,
    device="cpu",
    checkpoint_every_steps=2,
)
STEPS_AN_EPOCH, PARTS = 5, 2


class Killed(BaseException):
    """Stands in for the end of a process."""


class InMemory:
    """Keeps states as files do: copies of tensors, and facts through JSON."""

    def __init__(self) -> None:
        self.saved: list[State] = []

    def load(self) -> State | None:
        return self._copied(self.saved[-1]) if self.saved else None

    def save(self, state: State) -> None:
        self.saved.append(self._copied(state))

    def _copied(self, state: State) -> State:
        tensors = {name: tensor.clone() for name, tensor in state.tensors.items()}
        return State(tensors, json.loads(json.dumps(state.facts)))


class Training:
    """Trains a small evaluator with dropout and id_dropout, and counts what is computed."""

    def __init__(self, make_requests: Callable[..., Any], make_evaluator: Callable[..., Any]) -> None:
        self.learn, self.check = make_requests(42), make_requests(12, seed=1)
        self.make_evaluator, self.calls = make_evaluator, 0

    def run(
        self,
        checkpoint: InMemory | None,
        config: TrainingConfig = CONFIG,
        killed_at: int | None = None,
        records: EpochRecords | None = None,
    ) -> tuple[dict[str, Tensor], list[dict[str, float]]]:
        """Returns weights and history without seconds; `killed_at` counts losses, validation's too."""
        self.calls = 0

        def loss_of(model: nn.Module, requests: Any) -> Tensor:
            self.calls += 1
            if self.calls == killed_at:
                raise Killed
            return EvaluatorLoss(model)(model, requests)

        model = self.make_evaluator(dropout=0.2, id_dropout=0.2).float()
        history = fit(
            model, loss_of, self.learn, self.check, config, label="x", records=records, checkpoint=checkpoint
        )
        rows = [{name: value for name, value in row.items() if name != "seconds"} for row in history]
        return copy.deepcopy(model.state_dict()), rows


@pytest.fixture(scope="module")
def training(make_requests, make_evaluator) -> Training:
    return Training(make_requests, make_evaluator)


@pytest.fixture(scope="module")
def uninterrupted(training: Training) -> tuple[dict[str, Tensor], list[dict[str, float]]]:
    return training.run(None)


def assert_same(one: tuple[Any, Any], other: tuple[Any, Any]) -> None:
    assert one[1] == other[1]
    assert all(torch.equal(tensor, other[0][name]) for name, tensor in one[0].items())


EPOCH = STEPS_AN_EPOCH * PARTS + 2  # losses of an epoch: training and the two batches of validation


@pytest.mark.parametrize("killed_at", [1, 4, 6, 8, EPOCH, EPOCH + 1, EPOCH + 7, 3 * EPOCH + 10])
def test_goes_on_to_the_same_bits_from_any_moment(training: Training, uninterrupted, killed_at: int) -> None:
    checkpoint = InMemory()
    with pytest.raises(Killed):
        training.run(checkpoint, killed_at=killed_at)

    assert_same(training.run(checkpoint), uninterrupted)


def test_goes_on_after_being_killed_again_and_again(training: Training, uninterrupted) -> None:
    checkpoint, deaths = InMemory(), 0
    while True:
        try:
            result = training.run(checkpoint, killed_at=7)
            break
        except Killed:
            deaths += 1

    assert deaths > 5
    assert_same(result, uninterrupted)


def test_goes_on_without_repeating_steps(training: Training, uninterrupted) -> None:
    checkpoint = InMemory()
    with pytest.raises(Killed):
        training.run(checkpoint, killed_at=EPOCH + 4 * PARTS + 1)
    assert (checkpoint.saved[-1].facts["epoch"], checkpoint.saved[-1].facts["step"]) == (2, 4)
    training.run(checkpoint)

    assert training.calls == (len(uninterrupted[1]) - 1) * EPOCH - 4 * PARTS


@pytest.mark.parametrize("every", [0, 1, STEPS_AN_EPOCH])
def test_how_often_it_is_kept_does_not_matter(training: Training, uninterrupted, every: int) -> None:
    checkpoint = InMemory()
    config = replace(CONFIG, checkpoint_every_steps=every)

    assert_same(training.run(checkpoint, config), uninterrupted)
    within = {0: 0, 1: STEPS_AN_EPOCH, STEPS_AN_EPOCH: 1}[every]
    assert len(checkpoint.saved) == len(uninterrupted[1]) * (within + 1)
    with pytest.raises(Killed):
        training.run(again := InMemory(), config, killed_at=2 * EPOCH)
    assert_same(training.run(again, config), uninterrupted)


def test_a_finished_training_is_not_repeated(
    training: Training, uninterrupted, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoint = InMemory()
    training.run(checkpoint)
    with caplog.at_level(logging.INFO, "degre_pipeline"):
        result = training.run(checkpoint)

    assert training.calls == 0
    assert_same(result, uninterrupted)
    assert f"x: resumed finished training of {len(uninterrupted[1])} epochs" in caplog.text
    assert set(checkpoint.saved[-1].tensors) == {f"best.{name}" for name in uninterrupted[0]}


def test_without_resume_nothing_is_kept_or_continued(training: Training, uninterrupted) -> None:
    checkpoint = InMemory()
    with pytest.raises(Killed):
        training.run(checkpoint, killed_at=2 * EPOCH)
    kept = len(checkpoint.saved)
    result = training.run(checkpoint, replace(CONFIG, resume=False))

    assert training.calls == len(uninterrupted[1]) * EPOCH
    assert len(checkpoint.saved) == kept > 0
    assert_same(result, uninterrupted)


def test_the_uninterrupted_training_of_these_tests_stops_early_and_has_a_best_epoch(uninterrupted) -> None:
    losses = [row["validation_loss"] for row in uninterrupted[1]]

    assert len(losses) > 3
    assert losses.index(min(losses)) < len(losses) - 1


class TestRecords:
    """What is mined after each epoch survives an interruption as the weights do."""

    def run(
        self,
        training: Training,
        checkpoint: InMemory | None,
        beam_size: int = 2,
        killed_at: int | None = None,
    ) -> dict[str, Tensor]:
        records = mined_each_epoch(training.check.select(slice(0, 5)), beam_size)
        training.run(checkpoint, killed_at=killed_at, records=records)
        return records.stacked()

    def test_they_go_on_to_the_same_bits(self, training: Training, uninterrupted) -> None:
        whole = self.run(training, None)
        assert len(whole["values"]) == len(uninterrupted[1])
        for killed_at in (3, EPOCH, EPOCH + 1, EPOCH + 7, 3 * EPOCH + 10):
            checkpoint = InMemory()
            with pytest.raises(Killed):
                self.run(training, checkpoint, killed_at=killed_at)
            resumed = self.run(training, checkpoint)
            assert all(torch.equal(tensor, whole[name]) for name, tensor in resumed.items())
            assert resumed.keys() == whole.keys()

    def test_they_change_nothing_and_are_found_when_finished(self, training: Training, uninterrupted) -> None:
        checkpoint = InMemory()
        records = mined_each_epoch(training.check, 2)
        assert_same(training.run(checkpoint, records=records), uninterrupted)
        again = mined_each_epoch(training.check, 2)
        training.run(checkpoint, records=again)

        assert training.calls == 0
        assert torch.equal(again.stacked()["sequences"], records.stacked()["sequences"])

    def test_nothing_is_stacked_before_the_first_epoch(self, training: Training) -> None:
        assert mined_each_epoch(training.check, 2).stacked() == {}


DATA = {"clicks": torch.zeros(3)}


class TestIdentity:
    def identity(self, config: TrainingConfig = CONFIG, width: int = 8, **data: Tensor) -> dict[str, str]:
        return identity_of(config, CPU, {"model": {"width": width}}, {**DATA, **data}, DATA)

    def test_is_the_same_for_the_same(self) -> None:
        assert self.identity() == self.identity(
            replace(CONFIG, resume=False, checkpoint_every_steps=0, device="auto")
        )

    @pytest.mark.parametrize(
        ("other", "differing"),
        [
            ({"config": replace(CONFIG, seed=1)}, "settings"),
            ({"config": replace(CONFIG, epochs=7)}, "settings"),
            ({"width": 16}, "settings"),
            ({"clicks": torch.ones(3)}, "data"),
        ],
    )
    def test_differs_in_what_differs(self, other: dict[str, Any], differing: str) -> None:
        one, changed = self.identity(), self.identity(**other)

        assert {name for name in one if one[name] != changed[name]} == {differing}

    def test_knows_code_torch_device_and_processes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        one = self.identity()
        monkeypatch.setattr(torch, "__version__", "0")
        monkeypatch.setattr("degre_pipeline.reranker.training.training_state.world_size", lambda: 2)
        monkeypatch.setattr("degre_pipeline.reranker.training.training_state._code", lambda: "other")
        other = identity_of(CONFIG, torch.device("meta"), {"model": {"width": 8}}, DATA, DATA)

        assert {name for name in one if one[name] != other[name]} == {"code", "torch", "device", "processes"}
