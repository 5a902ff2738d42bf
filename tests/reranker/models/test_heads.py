"""Every head values a list alike, whether it is encoded whole, extended slot by slot or enumerated."""

import itertools
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from reencoding import beam_search_by_reencoding

from degre_pipeline.reranker.losses import hindsight_click_loss, slot_click_loss, survival_click_loss
from degre_pipeline.reranker.models.ensemble import EvaluatorEnsemble
from degre_pipeline.reranker.requests import gather_candidates
from degre_pipeline.reranker.search.beam import beam_search, extension_values
from degre_pipeline.reranker.search.exact import all_list_values
from degre_pipeline.reranker.search.valuation import list_prefix_values

ADDITIVE = {"additive": ("segment", "category"), "additive_factors": 2}  # see `make_evaluator`
KINDS: Mapping[str, dict[str, Any]] = {
    "slot clicks": {"head": "slot_clicks"},
    "appeal": {"head": "appeal"},
    "hindsight": {"head": "hindsight"},
    "hindsight with offsets": {"head": "hindsight", **ADDITIVE},
    "survival": {"head": "survival"},
    "survival with offsets": {"head": "survival", **ADDITIVE},
    "slot clicks with offsets": {"head": "slot_clicks", **ADDITIVE},
    "company": {"head": "company"},
    "company with offsets": {"head": "company", **ADDITIVE},
    "company of a page": {"head": "page_company"},
    "company of a page with offsets": {"head": "page_company", **ADDITIVE},
    "company of who leaves": {"head": "leaving_company"},
    "company of who leaves with offsets": {"head": "leaving_company", **ADDITIVE},
}


@pytest.fixture(params=KINDS)
def settings(request) -> dict[str, Any]:
    return KINDS[request.param]


@pytest.fixture
def evaluator(make_evaluator, settings):
    return make_evaluator(**settings)


@pytest.mark.parametrize("members", [1, 2])
def test_a_search_with_stored_prefixes_equals_one_that_encodes_them_anew(
    make_evaluator, make_requests, settings, members
) -> None:
    parts = [make_evaluator(seed=seed, **settings) for seed in range(members)]
    one = parts[0] if members == 1 else EvaluatorEnsemble(parts)
    requests = make_requests(4)
    found = beam_search(one, requests, beam_size=3)
    sequences, values = beam_search_by_reencoding(one, requests, beam_size=3)

    assert torch.equal(found.sequences, sequences)
    assert torch.allclose(found.values, values)


def test_the_exact_search_and_the_stored_steps_value_lists_as_encoding_them_does(
    evaluator, make_requests
) -> None:
    request = make_requests(1, n=5, slots=4)
    lists = torch.tensor(list(itertools.permutations(range(5), 4)))[None]
    expected = list_prefix_values(evaluator, request, lists[:, :3])  # few enough to be encoded whole
    every = all_list_values(evaluator, request)

    assert torch.allclose(every.value_of(lists[0, :3]), expected[0, :, -1])
    assert torch.allclose(list_prefix_values(evaluator, request, lists)[0, :, -1], every.value_of(lists[0]))
    steps = extension_values(evaluator, request, lists[:, :3])
    assert torch.allclose(steps.gather(-1, lists[:, :3, :, None])[..., 0], expected)


def test_levels_sum_to_the_value_of_every_prefix(evaluator, make_requests) -> None:
    requests = make_requests(3)
    items = gather_candidates(requests.candidates, requests.exposed)
    levels = evaluator.levels(requests.static, items)

    assert torch.allclose(levels.sum(-1), evaluator.values_of(evaluator.project(requests.static, items)))
    assert (levels.diff(dim=-1) <= 1e-12).all()


@pytest.mark.parametrize("head", ["hindsight", "page_company"])
def test_the_value_by_hindsight_is_what_the_last_row_says_of_all_slots(
    make_evaluator, make_requests, head
) -> None:
    requests, evaluator = make_requests(3), make_evaluator(head=head)
    items = gather_candidates(requests.candidates, requests.exposed)
    clicks = evaluator(requests.static, items).sigmoid()
    values = evaluator.values_of(evaluator.project(requests.static, items))

    assert torch.allclose(values[:, 1], clicks[:, 1, 0] + clicks[:, 1, 1])
    assert torch.allclose(values[:, 3], clicks[:, 3].sum(-1))
    assert not torch.allclose(clicks[:, 1, 0], clicks[:, 3, 0]), "what stands below changes the first click"


@pytest.mark.parametrize("head", ["survival", "leaving_company"])
def test_a_slot_is_worth_its_click_times_the_chance_that_it_is_looked_at(
    make_evaluator, make_requests, head
) -> None:
    requests, evaluator = make_requests(3), make_evaluator(head=head)
    items = gather_candidates(requests.candidates, requests.exposed)
    clicked, stays = evaluator(requests.static, items).sigmoid().unbind(-1)
    values = evaluator.values_of(evaluator.project(requests.static, items))

    assert torch.allclose(values[:, 0], clicked[:, 0])
    assert torch.allclose(values[:, 2] - values[:, 1], stays[:, 0] * stays[:, 1] * clicked[:, 2])


class TestHindsightLoss:
    def test_by_hand(self) -> None:
        logits = torch.tensor([[[0.0, 9.0], [1.0, -2.0]]])  # what the first row says of slot 2 is not read
        clicks, mask = torch.tensor([[1.0, 0.0]]), torch.ones(1, 2, dtype=torch.bool)
        surprises = [0.5, torch.sigmoid(torch.tensor(1.0)), 1 - torch.sigmoid(torch.tensor(-2.0))]
        expected = -sum(float(torch.as_tensor(one).log()) for one in surprises) / 3

        assert float(hindsight_click_loss(logits, clicks, mask)) == pytest.approx(expected)

    def test_of_a_shorter_list_counts_its_own_slots_alone(self) -> None:
        clicks, mask = torch.tensor([[1.0, 1.0], [1.0, 0.0]]), torch.tensor([[True, False], [False, False]])

        assert float(hindsight_click_loss(torch.zeros(2, 2, 2), clicks, mask)) == pytest.approx(0.693147)
        assert float(hindsight_click_loss(torch.zeros(2, 2, 2), clicks, mask & False)) == 0.0


class TestSurvivalLoss:
    def test_sums_over_where_the_user_may_have_left(self) -> None:
        """Slots are clicked with 0.5, 0.3 and 0.1 by who looks; 0.2, then 0.4 of the users look on."""
        logits = torch.tensor([[[0.5, 0.2], [0.3, 0.4], [0.1, 0.9]]]).logit()
        mask = torch.ones(1, 3, dtype=torch.bool)
        chances = {
            (1.0, 0.0, 0.0): 0.5 * (0.8 + 0.2 * 0.7 * (0.6 + 0.4 * 0.9)),
            (0.0, 1.0, 0.0): 0.5 * 0.2 * 0.3 * (0.6 + 0.4 * 0.9),
            (0.0, 0.0, 1.0): 0.5 * 0.2 * 0.7 * 0.4 * 0.1,
        }
        for clicks, chance in chances.items():
            expected = -float(torch.tensor(chance).log()) / 3
            assert float(survival_click_loss(logits, torch.tensor([clicks]), mask)) == pytest.approx(expected)

    def test_the_chances_of_all_outcomes_sum_to_one(self) -> None:
        logits = torch.randn(1, 4, 2, generator=torch.Generator().manual_seed(0))
        mask = torch.ones(1, 4, dtype=torch.bool)
        outcomes = itertools.product((0.0, 1.0), repeat=4)
        losses = [survival_click_loss(logits, torch.tensor([clicks]), mask) for clicks in outcomes]

        assert float(torch.stack(losses).mul(-4).exp().sum()) == pytest.approx(1.0, abs=1e-5)

    def test_of_users_who_stay_is_the_loss_of_each_slot(self) -> None:
        draw = torch.Generator().manual_seed(0)
        clicked = torch.randn(5, 3, generator=draw)
        clicks = torch.randint(0, 2, (5, 3), generator=draw).float()
        mask = torch.tensor([[True] * 3, [True, True, False], [True, False, False], [False] * 3, [True] * 3])
        logits = torch.stack([clicked, torch.full_like(clicked, 40.0)], -1)

        assert float(survival_click_loss(logits, clicks * mask, mask)) == pytest.approx(
            float(slot_click_loss(clicked, clicks, mask))
        )


class TestOffsets:
    def test_add_a_number_by_value_and_a_product_by_pair(self, make_evaluator, make_requests) -> None:
        requests = make_requests(4)
        evaluator = make_evaluator(head="slot_clicks", **ADDITIVE)
        segment, category = (
            tables[0].weight for tables in (evaluator.offsets.static, evaluator.offsets.candidate)
        )
        items = gather_candidates(requests.candidates, requests.exposed)
        items[:, 0, 0] = 0  # an unknown value adds nothing
        with torch.no_grad():
            segment[:, 0], category[:, 0] = 0.0, 0.0
            segment[:, 1:], category[:, 1:] = 0.0, 0.0
            without = evaluator(requests.static, items)
            segment[:, 0], category[:, 0] = torch.arange(5.0), 10 * torch.arange(6.0)
            segment[:, 1:], category[:, 1:] = 0.5, 2.0
            found = evaluator(requests.static, items) - without
        of_segment, of_category = requests.static[:, 0, None].double(), items[..., 0].double()
        both_known = (of_segment > 0) & (of_category > 0)

        expected = of_segment + 10 * of_category + both_known * (0.5 * 2.0 * 2)
        assert torch.allclose(found[..., 0], expected)

    def test_the_network_does_not_read_their_fields(self, make_evaluator, make_requests) -> None:
        requests, evaluator = make_requests(4), make_evaluator(head="slot_clicks", **ADDITIVE)
        other = requests.candidates.clone()
        other[..., 0] = 5 - other[..., 0]
        width = evaluator.project(requests.static, requests.candidates)[..., :-1]

        assert torch.equal(width, evaluator.project(requests.static, other)[..., :-1])

    @pytest.mark.parametrize("head", ["cumulative", "monotone", "appeal"])
    def test_of_a_head_without_one_slots_click_are_left_out(
        self, make_evaluator, make_requests, head
    ) -> None:
        requests, evaluator = make_requests(4), make_evaluator(head=head, **ADDITIVE)
        other = requests.candidates.clone()
        other[..., 0] = 5 - other[..., 0]

        assert evaluator.offsets is None
        assert torch.equal(
            evaluator.project(requests.static, requests.candidates), evaluator.project(requests.static, other)
        )
