from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_pre_hook

from degre_pipeline.reranker.training import compilation
from degre_pipeline.reranker.training.loop import (
    NotANumberError,
    autocast,
    choose_device,
    fit,
    mean_loss,
)
from degre_pipeline.reranker.training.objectives import EvaluatorLoss
from degre_pipeline.reranker.training.training_config import TrainingConfig

Loss = Callable[[nn.Module, "Numbers"], Tensor]


@dataclass(frozen=True)
class Numbers:
    """The least that can be trained on: ids and one number each."""

    request_id: Tensor

    def __len__(self) -> int:
        return len(self.request_id)

    def select(self, rows: Tensor | slice) -> Numbers:
        return Numbers(self.request_id[rows])

    def to(self, device: torch.device | str) -> Numbers:
        return Numbers(self.request_id.to(device))


class Scalar(nn.Module):
    def __init__(self, value: float = 0.0) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor(value))


def numbers(count: int) -> Numbers:
    return Numbers(torch.arange(count))


def climbing(best: float) -> Loss:
    """Training always pulls the value up; validation likes one value best."""

    def loss_of(model: nn.Module, batch: Numbers) -> Tensor:
        return -model.value if model.training else (model.value - best) ** 2

    return loss_of


def settings(**changes: object) -> TrainingConfig:
    return TrainingConfig(**{"epochs": 10, "batch_size": 2, "learning_rate": 0.1, "device": "cpu", **changes})


def trained_weights(make_requests, make_evaluator, seed: int, **changes: object) -> dict[str, Tensor]:
    evaluator = make_evaluator(id_dropout=0.1).float()
    fit(
        evaluator,
        EvaluatorLoss(evaluator),
        make_requests(24),
        make_requests(8, seed=1),
        settings(epochs=3, batch_size=8, learning_rate=1e-2, seed=seed, **changes),
        label="evaluator",
    )
    return evaluator.state_dict()


class TestReproducibility:
    def test_the_same_seed_gives_bit_identical_weights(self, make_requests, make_evaluator) -> None:
        one, other = (trained_weights(make_requests, make_evaluator, seed=5) for _ in range(2))

        assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())

    def test_another_seed_gives_others(self, make_requests, make_evaluator) -> None:
        one, other = (trained_weights(make_requests, make_evaluator, seed=seed) for seed in (5, 6))

        assert not all(torch.equal(tensor, other[name]) for name, tensor in one.items())

    def test_measuring_does_not_disturb_training(self, make_requests, make_evaluator) -> None:
        weights = []
        for measure in (None, lambda model: {"drawn": float(torch.tensor(1.0))}):
            evaluator = make_evaluator().float()
            config = settings(epochs=2, batch_size=8)
            fit(
                evaluator,
                EvaluatorLoss(evaluator),
                make_requests(8),
                make_requests(4),
                config,
                label="",
                measure=measure,
            )
            weights.append(evaluator.state_dict())

        assert all(torch.equal(tensor, weights[1][name]) for name, tensor in weights[0].items())


class TestEarlyStopping:
    def test_stops_after_patience_and_restores_the_best_weights(self) -> None:
        model = Scalar()
        seen: list[float] = []

        def measure(trained: nn.Module) -> dict[str, float]:
            seen.append(trained.value.item())
            return {"value": seen[-1]}

        history = fit(
            model, climbing(0.5), numbers(4), numbers(4), settings(patience=2), label="x", measure=measure
        )
        losses = [row["validation_loss"] for row in history]
        best = losses.index(min(losses))

        assert 0 < best < len(history) - 1 == best + 2
        assert model.value.item() == seen[best] == history[best]["value"]
        assert not model.training

    def test_keeps_going_while_validation_improves(self) -> None:
        history = fit(Scalar(), climbing(99.0), numbers(4), numbers(4), settings(patience=1), label="x")

        assert [row["epoch"] for row in history] == list(range(1, 11))


class TestSteps:
    def batches(self, requests: int, **changes: object) -> list[list[int]]:
        seen: list[list[int]] = []

        def loss_of(model: nn.Module, batch: Numbers) -> Tensor:
            if model.training:
                seen.append(batch.request_id.tolist())
            return model.value**2

        fit(Scalar(1.0), loss_of, numbers(requests), numbers(2), settings(epochs=2, **changes), label="x")
        return seen

    def test_an_epoch_sees_requests_once_in_another_order_each_time(self) -> None:
        seen = self.batches(8, batch_size=4)
        one, other = (seen[start] + seen[start + 1] for start in (0, 2))

        assert sorted(one) == sorted(other) == list(range(8))
        assert one != other

    def test_a_smaller_last_batch_is_left_out(self) -> None:
        assert [len(ids) for ids in self.batches(7, batch_size=3)] == [3, 3, 3, 3]

    def test_a_batch_larger_than_the_data_is_all_of_it(self) -> None:
        assert [sorted(ids) for ids in self.batches(3, batch_size=1024)] == [[0, 1, 2]] * 2

    def test_the_gradient_is_clipped(self) -> None:
        norms: list[float] = []
        model = Scalar()
        hook = register_optimizer_step_pre_hook(lambda *_: norms.append(abs(model.value.grad.item())))
        config = settings(epochs=3, batch_size=4, gradient_clip=0.25)
        fit(model, lambda model, batch: 1000 * model.value, numbers(4), numbers(1), config, label="x")
        hook.remove()

        assert norms == pytest.approx([0.25] * 3)

    def test_validation_is_a_mean_over_requests_in_eval_mode(self) -> None:
        def loss_of(model: nn.Module, batch: Numbers) -> Tensor:
            assert not model.training
            return batch.request_id.float().mean()

        assert mean_loss(Scalar().train(), loss_of, numbers(5), settings(batch_size=2)) == pytest.approx(2.0)


class TestAccumulation:
    def test_the_loss_curve_is_that_of_whole_batches(self, make_requests, make_evaluator) -> None:
        curves, calls = [], []
        for accumulate in (1, 2, 4):
            sizes: list[int] = []

            def loss_of(model: nn.Module, requests, sizes=sizes) -> Tensor:
                if model.training:
                    sizes.append(len(requests))
                return EvaluatorLoss(model)(model, requests)

            config = settings(epochs=4, batch_size=8, accumulate=accumulate, learning_rate=1e-2)
            data = make_requests(24), make_requests(8, seed=1)
            history = fit(make_evaluator(dropout=0.0), loss_of, *data, config, label="x")
            curves.append([row[name] for row in history for name in ("training_loss", "validation_loss")])
            calls.append(sizes)

        assert curves[1] == pytest.approx(curves[0], rel=1e-6)
        assert curves[2] == pytest.approx(curves[0], rel=1e-6)
        assert calls == [[8] * 12, [4] * 24, [2] * 48]

    def test_a_batch_of_all_requests_is_rounded_down_to_equal_parts(self) -> None:
        seen: list[int] = []

        def loss_of(model: nn.Module, batch: Numbers) -> Tensor:
            if model.training:
                seen.append(len(batch))
            return model.value**2

        config = settings(epochs=1, batch_size=12, accumulate=3)
        fit(Scalar(1.0), loss_of, numbers(8), numbers(2), config, label="x")

        assert seen == [2, 2, 2]

    def test_parts_must_be_equal(self) -> None:
        with pytest.raises(ValueError, match="accumulate is 3; allowed: a divisor of batch_size 4"):
            settings(batch_size=4, accumulate=3)
        with pytest.raises(ValueError, match="number of training requests is 1; allowed: 2 or more"):
            fit(
                Scalar(),
                climbing(1.0),
                numbers(1),
                numbers(1),
                settings(batch_size=2, accumulate=2),
                label="x",
            )


class TestSchedules:
    def rates(self, **changes: object) -> list[float]:
        history = fit(Scalar(), climbing(99.0), numbers(4), numbers(2), settings(**changes), label="x")
        return [row["learning_rate"] for row in history]

    def test_constant(self) -> None:
        assert self.rates() == [0.1] * 10

    def test_one_cycle_rises_to_its_peak_and_falls(self) -> None:
        rates = self.rates(schedule="one_cycle")
        peak = rates.index(max(rates))

        assert 0.9 * 0.1 < max(rates) <= 0.1
        assert peak == 1
        assert rates[peak:] == sorted(rates[peak:], reverse=True)
        assert rates[-1] < 1e-4

    @pytest.mark.parametrize("steps", range(1, 13))
    def test_one_cycle_of_few_steps_rises_and_falls(self, steps: int) -> None:
        rates = self.rates(schedule="one_cycle", epochs=steps, batch_size=4, patience=steps)
        peak = rates.index(max(rates))

        assert len(rates) == steps
        assert rates == sorted(rates[: peak + 1]) + sorted(rates[peak + 1 :], reverse=True)
        assert all(0 < rate <= 0.1 for rate in rates)
        if steps > 2:
            assert 0 < peak < steps - 1
            assert rates[-1] < 1e-4


class TestNotANumber:
    def test_names_epoch_step_and_requests(self) -> None:
        def loss_of(model: nn.Module, batch: Numbers) -> Tensor:
            return model.value * (float("nan") if 2 in batch.request_id else 1.0)

        with pytest.raises(
            NotANumberError, match=r"evaluator: loss is nan at epoch 1, step 0.*Requests: .*\b2\b"
        ):
            fit(Scalar(), loss_of, numbers(3), numbers(1), settings(batch_size=3), label="evaluator")

    def test_shortens_a_long_list_of_requests(self) -> None:
        def loss_of(model: nn.Module, batch: Numbers) -> Tensor:
            return model.value * float("inf") + 1

        with pytest.raises(NotANumberError, match=r"… \(30 in all\)"):
            fit(Scalar(1.0), loss_of, numbers(30), numbers(1), settings(batch_size=30), label="x")

    def test_is_raised_for_the_validation_loss_too(self) -> None:
        def loss_of(model: nn.Module, batch: Numbers) -> Tensor:
            return model.value if model.training else model.value * float("nan")

        with pytest.raises(NotANumberError, match="generator: validation loss is nan after epoch 1"):
            fit(Scalar(), loss_of, numbers(3), numbers(1), settings(), label="generator")


class TestDevices:
    def test_of_settings(self) -> None:
        assert choose_device("cpu") == torch.device("cpu")
        assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")

    def test_unknown_ones_are_named(self) -> None:
        with pytest.raises(ValueError, match="device is 'abacus'; allowed: auto, cpu"):
            choose_device("abacus")

    @pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
    @pytest.mark.parametrize("name", ["cuda", "cuda:0"])
    def test_a_missing_gpu_is_said(self, name: str) -> None:
        with pytest.raises(
            ValueError, match=f"device is '{name}'; allowed: auto or cpu: no CUDA GPU was found"
        ):
            choose_device(name)

    def test_bfloat16_is_off_on_the_cpu_unless_asked_for(self) -> None:
        cpu = torch.device("cpu")

        for switch, dtype in (("auto", torch.float32), ("off", torch.float32), ("on", torch.bfloat16)):
            with autocast(cpu, switch):
                assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype

    def test_bfloat16_trains(self, make_requests, make_evaluator) -> None:
        weights = trained_weights(make_requests, make_evaluator, seed=5, bfloat16="on")

        assert all(
            tensor.dtype == torch.float32 and torch.isfinite(tensor).all() for tensor in weights.values()
        )

    @pytest.mark.gpu
    @pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
    def test_cuda_trains_in_bfloat16(self, make_requests, make_evaluator) -> None:
        evaluator = make_evaluator().float()
        config = settings(epochs=3, batch_size=8, learning_rate=1e-2, device="cuda", compile="off")
        history = fit(
            evaluator,
            EvaluatorLoss(evaluator),
            make_requests(24),
            make_requests(8),
            config,
            label="evaluator",
        )

        assert next(evaluator.parameters()).is_cuda
        assert history[-1]["training_loss"] < history[0]["training_loss"]
        assert all(torch.isfinite(parameter).all() for parameter in evaluator.parameters())


class TestCompiling:
    def test_is_off_on_the_cpu_unless_asked_for(self) -> None:
        model = Scalar()

        assert compilation.compiled(model, "auto", torch.device("cpu")) is model
        assert compilation.compiled(model, "off", torch.device("cuda")) is model

    def test_trains_uncompiled_where_there_is_no_compiler(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(compilation.shutil, "which", lambda name: None)
        model = Scalar()

        assert compilation.compiled(model, "on", torch.device("cpu")) is model
        assert (
            len(fit(model, climbing(99.0), numbers(2), numbers(1), settings(compile="on"), label="x")) == 10
        )

    def test_compiles_where_there_is_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(
            compilation.shutil, "which", lambda name: "/usr/bin/c++" if name == "clang++" else None
        )
        monkeypatch.setattr(compilation.torch, "compile", nn.Sequential)

        assert isinstance(compilation.compiled(Scalar(), "on", torch.device("cpu")), nn.Sequential)
