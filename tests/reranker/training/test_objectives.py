import pytest
import torch

from degre_pipeline.reranker.labels import sequence_weights, soft_labels
from degre_pipeline.reranker.losses import cumulative_regression_loss
from degre_pipeline.reranker.mined_requests import MinedRequests, exposed_as_mined
from degre_pipeline.reranker.search.beam import beam_search
from degre_pipeline.reranker.training.objectives import DistillationConfig, DistillationLoss, EvaluatorLoss


@pytest.fixture(scope="module")
def mined(make_requests, make_evaluator) -> MinedRequests:
    requests = make_requests(3, n=6, slots=3, real=[6, 6, 2])
    found = beam_search(make_evaluator(3), requests, beam_size=4)
    return MinedRequests.of(requests, found.sequences, found.values.float(), found.step_values.float())


def terms(generator, mined: MinedRequests, temperature: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Negative log-likelihood and divergence of every sequence, [b, k], summed over its steps."""
    requests = mined.requests
    log_p = generator(requests.static, requests.candidates, requests.mask, mined.sequences)
    nll, divergence = torch.zeros(mined.values.shape), torch.zeros(mined.values.shape)
    labels = soft_labels(mined.step_values, temperature)
    for b, k, t in (mined.sequences >= 0).nonzero().tolist():
        item = int(mined.sequences[b, k, t])
        nll[b, k] -= log_p[b, k, t, item]
        q, p = labels[b, k, t], log_p[b, k, t]
        divergence[b, k] += sum(float(q[i] * (q[i].log() - p[i])) for i in range(len(q)) if q[i] > 0)
    return nll, divergence


def test_the_evaluator_learns_from_the_exposed_items_in_their_order(make_requests, make_evaluator) -> None:
    requests, evaluator = make_requests(2, n=6, slots=3, real=[6, 2]), make_evaluator(3)
    shown = torch.stack([requests.candidates[row][requests.exposed[row]] for row in range(2)])
    counts = torch.tensor(
        [[float(requests.clicks[row, : slot + 1].sum()) for slot in range(3)] for row in range(2)]
    )
    expected = cumulative_regression_loss(evaluator(requests.static, shown), counts, requests.exposed_mask)

    assert torch.equal(EvaluatorLoss(evaluator)(evaluator, requests), expected)


@pytest.mark.parametrize(
    ("settings", "hard", "alpha"),
    [
        ({}, 1.0, 0.01),
        ({"soft_label_weight": 0.0}, 1.0, 0.0),
        ({"soft_label_weight": 0.5, "hard_labels": False}, 0.0, 0.5),
        ({"soft_label_weight": 0.5, "soft_label_temperature": 0.1}, 1.0, 0.5),
        ({"sequence_weighting": False}, 1.0, 0.01),
        ({"sequence_temperature": 0.02}, 1.0, 0.01),
    ],
)
def test_every_switch_changes_its_own_term(mined, make_generator, settings, hard, alpha) -> None:
    generator, config = make_generator(3).requires_grad_(False), DistillationConfig(**settings)
    nll, divergence = terms(generator, mined, config.soft_label_temperature)
    weights = sequence_weights(mined.values, config.sequence_temperature)
    if not config.sequence_weighting:
        weights = torch.tensor([[1.0] * 4, [1.0] * 4, [2.0, 2.0, 0.0, 0.0]])
    expected = (weights * (hard * nll + alpha * divergence)).mean()

    assert float(DistillationLoss(config)(generator, mined)) == pytest.approx(float(expected), rel=1e-5)


def test_a_short_list_trains_with_finite_gradients(mined, make_generator) -> None:
    generator = make_generator(3)
    DistillationLoss(DistillationConfig(soft_label_weight=0.5))(
        generator, mined.select(slice(2, 3))
    ).backward()
    gradients = [parameter.grad for parameter in generator.parameters() if parameter.grad is not None]

    assert all(torch.isfinite(gradient).all() for gradient in gradients)
    assert any(gradient.abs().sum() > 0 for gradient in gradients)


def test_exposed_lists_are_a_teacher_of_one_sequence(make_requests, make_generator) -> None:
    requests = make_requests(2, n=6, slots=3, real=[6, 2])
    generator = make_generator(3).requires_grad_(False)
    teacher = exposed_as_mined(requests)
    expected = requests.exposed.clone()
    expected[1, 2] = -1

    assert teacher.sequences[:, 0].tolist() == expected.tolist()
    nll, _ = terms(generator, teacher)
    assert float(DistillationLoss(DistillationConfig())(generator, teacher)) == pytest.approx(
        float(nll.mean())
    )


def test_mined_requests_are_selected_together(mined) -> None:
    some = mined.select(torch.tensor([2, 0]))

    assert (len(some), some.request_id.tolist()) == (2, [102, 100])
    assert torch.equal(some.sequences, mined.sequences[[2, 0]])
    assert torch.equal(some.values, mined.values[[2, 0]])
    assert torch.equal(some.step_values, mined.step_values[[2, 0]])


def test_one_sequence_a_step_is_drawn_by_its_weight(mined) -> None:
    weights = torch.tensor([[0.0, 4.0, 0.0, 0.0], [2.0, 0.0, 2.0, 0.0], [4.0, 0.0, 0.0, 0.0]])
    torch.manual_seed(0)
    drawn = [mined.one_sequence(weights) for _ in range(20)]

    for one in drawn:
        assert torch.equal(one.sequences[0], mined.sequences[0, 1:2])
        assert torch.equal(one.step_values[2], mined.step_values[2, :1])
        assert float(one.values[1]) in mined.values[1, [0, 2]].tolist()
    assert len({float(one.values[1]) for one in drawn}) == 2


def test_one_sequence_a_step_concerns_training_alone(mined, make_generator) -> None:
    settings = {"sequence_temperature": 1e-4}  # all weight on the best sequence
    one, every = (
        DistillationLoss(DistillationConfig(one_sequence_a_step=switch, **settings))
        for switch in (True, False)
    )
    generator = make_generator(3).requires_grad_(False)
    best = MinedRequests.of(
        mined.requests, mined.sequences[:, :1], mined.values[:, :1], mined.step_values[:, :1]
    )

    assert torch.equal(one(generator.eval(), mined), every(generator.eval(), mined))
    for module in generator.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    assert float(one(generator.train(), mined)) == pytest.approx(float(every(generator, best)), rel=1e-5)


def test_best_targets_follow_the_best_sequence_with_the_same_prefix(make_requests) -> None:
    requests = make_requests(2, n=4, slots=3, real=[4, 2])
    sequences = torch.tensor(
        [[[0, 1, 2], [0, 2, 1], [3, 0, 1], [3, 0, 2]], [[1, 0, -1], [0, 1, -1], [-1] * 3, [-1] * 3]]
    )
    values = torch.tensor([[4.0, 3.0, 2.0, 1.0], [2.0, 1.0, -torch.inf, -torch.inf]])
    mined = MinedRequests.of(requests, sequences, values, torch.zeros(2, 4, 3, 4)).with_best_targets()

    # All lists share the empty prefix, after which the best one begins with 0; [3, 0] goes on with 1.
    assert mined.targets[0].tolist() == [[0, 1, 2], [0, 1, 1], [0, 0, 1], [0, 0, 1]]
    assert mined.targets[1].tolist() == [[1, 0, -1], [1, 1, -1], [-1] * 3, [-1] * 3]
    assert torch.equal(mined.sequences, sequences)


def test_best_targets_are_learned_from_where_they_are_set(mined, make_generator) -> None:
    generator = make_generator(3).requires_grad_(False)
    best = DistillationLoss(DistillationConfig(targets="best"))(generator, mined)

    assert float(best) == pytest.approx(
        float(DistillationLoss(DistillationConfig())(generator, mined.with_best_targets()))
    )
    assert float(best) != pytest.approx(float(DistillationLoss(DistillationConfig())(generator, mined)))
