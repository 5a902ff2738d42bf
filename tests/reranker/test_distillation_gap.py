import pytest
import torch

from degre_pipeline.reranker.distillation_gap import best_completions, step_gap
from degre_pipeline.reranker.search.beam import beam_search
from degre_pipeline.reranker.search.valuation import list_values


def greedy(generator, requests):
    return generator.greedy_decode(requests.static, requests.candidates, requests.mask)[0]


def test_completions_of_the_best_list_are_itself_and_those_of_a_list_end_with_it(
    make_evaluator, make_requests
) -> None:
    evaluator, requests = make_evaluator(3), make_requests(2, n=5, slots=3)
    every = beam_search(evaluator, requests, beam_size=60)  # all lists
    best, other = every.sequences[:, 0], every.sequences[:, 40]

    of_best = best_completions(evaluator, requests, best, beam_size=60)
    assert torch.equal(of_best.next_items, best)
    torch.testing.assert_close(of_best.values, every.values[:, :1].expand(2, 4))

    of_other = best_completions(evaluator, requests, other, beam_size=60)
    for slot in range(4):  # the best of the lists that begin like it
        same = (every.sequences[..., :slot] == other[:, None, :slot]).all(-1)
        expected = every.values.masked_fill(~same, float("-inf")).max(1)
        torch.testing.assert_close(of_other.values[:, slot], expected.values)
        if slot < 3:
            continuing = every.sequences[torch.arange(2), expected.indices, slot]
            assert torch.equal(of_other.next_items[:, slot], continuing)


def test_values_lost_add_up_to_the_gap_to_the_beam(make_evaluator, make_generator, make_requests) -> None:
    evaluator, generator, requests = make_evaluator(4), make_generator(4), make_requests(6)
    teacher = beam_search(evaluator, requests, beam_size=4)
    own = greedy(generator, requests)
    gap = step_gap(generator, evaluator, requests, teacher=teacher.sequences[:, 0], own=own, beam_size=4)

    whole = teacher.values[:, 0] - list_values(evaluator, requests, own[:, None])[:, 0]
    torch.testing.assert_close(gap.value_lost.sum(1), whole.float())
    agreed = gap.agrees_on_own_prefix.bool()
    assert agreed.any()
    assert not agreed.all()


def test_a_generator_that_is_its_own_teacher_agrees_everywhere(
    make_evaluator, make_generator, make_requests
) -> None:
    evaluator, generator, requests = make_evaluator(4), make_generator(4), make_requests(5)
    own = greedy(generator, requests)
    gap = step_gap(generator, evaluator, requests, teacher=own, own=own, beam_size=2)
    assert torch.equal(gap.agrees_on_teachers_prefix, torch.ones(5, 4))

    other = own.clone()
    other[:, 1] = torch.tensor([next(i for i in range(8) if i not in row) for row in own.tolist()])
    changed = step_gap(generator, evaluator, requests, teacher=other, own=own, beam_size=2)
    assert changed.agrees_on_teachers_prefix[:, :2].tolist() == [[1.0, 0.0]] * 5


def test_nothing_is_said_past_the_end_of_a_list(make_evaluator, make_generator, make_requests) -> None:
    evaluator, generator, requests = make_evaluator(4), make_generator(4), make_requests(2, real=[8, 2])
    own = greedy(generator, requests)
    teacher = beam_search(evaluator, requests, beam_size=3).sequences[:, 0]
    gap = step_gap(generator, evaluator, requests, teacher=teacher, own=own, beam_size=3)

    for figures in vars(gap).values():
        assert figures.isnan().tolist() == [[False] * 4, [False, False, True, True]]
    assert gap.value_lost[1, 0] == pytest.approx(
        float(
            best_completions(evaluator, requests, own, beam_size=3).values[1, 0]
            - list_values(evaluator, requests, own[:, None])[1, 0]
        ),
        abs=1e-6,
    )  # of two candidates, the first choice decides
