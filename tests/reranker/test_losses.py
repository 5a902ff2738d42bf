import math

import pytest
import torch

from degre_pipeline.reranker.labels import sequence_weights, soft_labels
from degre_pipeline.reranker.losses import (
    cumulative_regression_loss,
    hybrid_distillation_loss,
    imitation_loss,
    slot_click_loss,
)

INF = float("inf")
ALL = torch.ones(1, 3, dtype=torch.bool)


def bce(probability: float, outcome: int) -> float:
    return -math.log(probability if outcome else 1 - probability)


def logit(*rows: tuple[float, ...]) -> torch.Tensor:
    return torch.tensor(rows).logit()


class TestCumulativeRegression:
    """Clicks (1, 0, 1): 1, 1, 2 clicks so far, so the targets are [1], [1, 0] and [1, 1, 0]."""

    counts = torch.tensor([[1.0, 1.0, 2.0]])

    def test_zero_logits(self) -> None:
        loss = cumulative_regression_loss(torch.zeros(1, 3, 3), self.counts, ALL)

        assert float(loss) == pytest.approx(6 * math.log(2) / 3)
        assert float(loss) == pytest.approx(1.3863, abs=1e-4)

    def test_by_hand(self) -> None:
        levels = logit((0.9, 0.5, 0.5), (0.8, 0.3, 0.5), (0.7, 0.6, 0.2))[None]
        terms = [bce(0.9, 1), bce(0.8, 1), bce(0.3, 0), bce(0.7, 1), bce(0.6, 1), bce(0.2, 0)]

        assert float(cumulative_regression_loss(levels, self.counts, ALL)) == pytest.approx(sum(terms) / 3)

    def test_levels_beyond_the_slot_do_not_count(self) -> None:
        wild = torch.zeros(1, 3, 3)
        wild[0, 0, 1:], wild[0, 1, 2] = 50.0, -50.0

        assert float(cumulative_regression_loss(wild, self.counts, ALL)) == pytest.approx(2 * math.log(2))

    def test_padded_slots_contribute_nothing_and_the_real_length_divides(self) -> None:
        mask = torch.tensor([[True, True, False]])
        levels = logit((0.9, 0.5, 0.5), (0.8, 0.3, 0.5), (0.7, 0.6, 0.2))[None].requires_grad_()
        loss = cumulative_regression_loss(levels, torch.tensor([[1.0, 1.0, 9.0]]), mask)
        loss.backward()

        assert loss.item() == pytest.approx((bce(0.9, 1) + bce(0.8, 1) + bce(0.3, 0)) / 2)
        assert levels.grad[0, 2].tolist() == [0, 0, 0]

    def test_the_mean_leaves_out_lists_without_slots(self) -> None:
        levels, counts = torch.zeros(2, 3, 3), self.counts.expand(2, 3)
        mask = torch.tensor([[True] * 3, [False] * 3])

        assert float(cumulative_regression_loss(levels, counts, mask)) == pytest.approx(2 * math.log(2))
        assert float(cumulative_regression_loss(levels, counts, mask & False)) == 0.0

    def test_lists_count_alike_whatever_their_length(self) -> None:
        levels = torch.zeros(2, 3, 3)
        mask = torch.tensor([[True] * 3, [True, False, False]])
        loss = cumulative_regression_loss(levels, self.counts.expand(2, 3), mask)

        assert float(loss) == pytest.approx((2 * math.log(2) + math.log(2)) / 2)

    def test_differing_shapes_are_named(self) -> None:
        with pytest.raises(
            ValueError, match=r"logits \(1, 3, 3\).*mask \(1, 2\).*cumulative_clicks \(1, 3\)"
        ):
            cumulative_regression_loss(torch.zeros(1, 3, 3), self.counts, ALL[:, :2])


class TestSlotClicks:
    logits = logit((0.9, 0.2, 0.5), (0.7, 0.4, 0.1))
    clicks = torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]])

    def test_by_hand(self) -> None:
        mask = torch.tensor([[True] * 3, [True, True, False]])
        first = (bce(0.9, 1) + bce(0.2, 0) + bce(0.5, 1)) / 3
        second = (bce(0.7, 0) + bce(0.4, 1)) / 2

        assert float(slot_click_loss(self.logits, self.clicks, mask)) == pytest.approx((first + second) / 2)

    def test_the_mean_leaves_out_lists_without_slots(self) -> None:
        mask = torch.tensor([[True, False, False], [False] * 3])

        assert float(slot_click_loss(self.logits, self.clicks, mask)) == pytest.approx(bce(0.9, 1))
        assert float(slot_click_loss(self.logits, self.clicks, mask & False)) == 0.0


class TestSoftLabels:
    def test_are_the_softmax_of_values_over_temperature(self) -> None:
        values = torch.tensor([[[[1.0, 1.5, -INF]]]])
        one, hot = math.exp(0.5), math.exp(0.5 / 0.25)

        assert soft_labels(values)[0, 0, 0].tolist() == pytest.approx([1 / (1 + one), one / (1 + one), 0])
        assert soft_labels(values, 0.25)[0, 0, 0].tolist() == pytest.approx(
            [1 / (1 + hot), hot / (1 + hot), 0]
        )

    def test_are_zero_where_nothing_could_be_chosen(self) -> None:
        assert soft_labels(torch.full((1, 1, 2, 3), -INF)).abs().sum() == 0


class TestSequenceWeights:
    def test_by_hand(self) -> None:
        weights = sequence_weights(torch.tensor([[2.0, 1.0]]), 1.0)

        assert weights[0].tolist() == pytest.approx([1.4621, 0.5379], abs=1e-4)

    def test_a_lower_temperature_sharpens(self) -> None:
        best = [float(sequence_weights(torch.tensor([[2.0, 1.0]]), tau)[0, 0]) for tau in (10, 1, 0.1)]

        assert best == sorted(best)
        assert best[2] == pytest.approx(2, abs=1e-3)

    def test_a_sequence_that_does_not_exist_weighs_nothing(self) -> None:
        assert sequence_weights(torch.tensor([[1.0, 1.0, -INF]]), 0.5)[0].tolist() == [1.5, 1.5, 0]


class TestHybridDistillation:
    """One request, two sequences of two steps over three candidates."""

    log_p = torch.tensor(
        [
            [[0.5, 0.3, 0.2], [0.0, 0.6, 0.4]],
            [[0.1, 0.8, 0.1], [0.7, 0.0, 0.3]],
        ]
    ).log()[None]
    hard = torch.tensor([[[0, 1], [1, 2]]])
    soft = torch.tensor([[[0.2, 0.3, 0.5], [0.0, 0.5, 0.5]], [[0.4, 0.3, 0.3], [0.9, 0.0, 0.1]]])[None]
    weights = torch.tensor([[1.4, 0.6]])

    def loss(self, **settings: object) -> float:
        arguments = {"soft_label_weight": 0.3} | settings
        return float(hybrid_distillation_loss(self.log_p, self.hard, self.soft, self.weights, **arguments))

    def nll(self) -> float:
        first = -math.log(0.5) - math.log(0.6)
        second = -math.log(0.8) - math.log(0.3)
        return (1.4 * first + 0.6 * second) / 2

    def divergence(self) -> float:
        def kl(q: list[float], p: list[float]) -> float:
            return sum(a * math.log(a / b) for a, b in zip(q, p, strict=True) if a)

        first = kl([0.2, 0.3, 0.5], [0.5, 0.3, 0.2]) + kl([0.5, 0.5], [0.6, 0.4])
        second = kl([0.4, 0.3, 0.3], [0.1, 0.8, 0.1]) + kl([0.9, 0.1], [0.7, 0.3])
        return (1.4 * first + 0.6 * second) / 2

    def test_by_hand(self) -> None:
        assert self.loss() == pytest.approx(self.nll() + 0.3 * self.divergence())

    def test_hard_labels_alone(self) -> None:
        assert self.loss(soft_label_weight=0.0) == pytest.approx(self.nll())

    def test_soft_labels_alone(self) -> None:
        assert self.loss(use_hard_labels=False) == pytest.approx(0.3 * self.divergence())

    def test_is_zero_for_a_generator_that_is_its_soft_labels(self) -> None:
        loss = hybrid_distillation_loss(
            self.log_p,
            self.hard,
            self.log_p.exp(),
            self.weights,
            soft_label_weight=1.0,
            use_hard_labels=False,
        )

        assert float(loss) == pytest.approx(0, abs=1e-6)

    def test_a_missing_step_contributes_nothing(self) -> None:
        hard = torch.tensor([[[0, -1], [1, -1]]])
        loss = hybrid_distillation_loss(self.log_p, hard, self.soft, self.weights, soft_label_weight=0.0)

        assert float(loss) == pytest.approx((1.4 * -math.log(0.5) + 0.6 * -math.log(0.8)) / 2)

    def test_masked_candidates_leave_gradients_finite(self) -> None:
        scores = torch.randn(1, 2, 2, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
        selectable = self.log_p.isfinite()
        log_p = scores.masked_fill(~selectable, -INF).log_softmax(-1)
        nothing = torch.zeros(1, 2, 2, 1, dtype=torch.bool)
        nothing[0, 1, 1] = True
        hard = torch.tensor([[[0, 1], [1, -1]]])
        loss = hybrid_distillation_loss(
            log_p.masked_fill(nothing, -INF), hard, self.soft * ~nothing, self.weights, soft_label_weight=0.3
        )
        loss.backward()

        assert torch.isfinite(loss)
        assert torch.isfinite(scores.grad).all()
        assert scores.grad[0, 0, 0].abs().min() > 0
        assert scores.grad[0, 1, 1].abs().max() == 0

    def test_is_a_mean_over_requests(self) -> None:
        parts = (self.log_p, self.hard, self.soft, self.weights)
        doubled = hybrid_distillation_loss(
            *(torch.cat([part, part]) for part in parts), soft_label_weight=0.3
        )

        assert float(doubled) == pytest.approx(self.loss())


def test_imitation_by_hand() -> None:
    logits = torch.tensor([[[0.0], [2.0]], [[-1.0], [5.0]]])
    wanted = torch.tensor([[[0.5], [0.25]], [[1.0], [0.0]]])
    mask = torch.tensor([[True, True], [True, False]])
    # -[p log s(o) + (1 - p) log s(-o)]: log 2; 0.25 * 0.126928 + 0.75 * 2.126928; log(1 + e)
    first, second = (0.693147 + 1.626928) / 2, 1.313262
    assert imitation_loss(logits, wanted, mask).item() == pytest.approx((first + second) / 2, abs=1e-5)


def test_imitation_reads_no_slot_below_the_last_one_where_a_head_has_a_column_a_slot() -> None:
    logits, wanted = torch.randn(2, 3, 3), torch.rand(2, 3, 3)
    mask = torch.ones(2, 3, dtype=torch.bool)
    changed = logits.clone()
    changed[:, 0, 1:], changed[:, 1, 2] = 9.0, -9.0
    assert imitation_loss(changed, wanted, mask) == imitation_loss(logits, wanted, mask)
