from dataclasses import asdict, replace

import pytest
import torch
from reencoding import beam_search_by_reencoding

from degre_pipeline.reranker.losses import cumulative_regression_loss
from degre_pipeline.reranker.models.builders import build_evaluator
from degre_pipeline.reranker.models.ensemble import EvaluatorEnsemble, MembersInOnePass
from degre_pipeline.reranker.models.evaluator import LookaheadEvaluator
from degre_pipeline.reranker.models.model_config import EvaluatorConfig
from degre_pipeline.reranker.models.stored_models import restore_evaluator, store
from degre_pipeline.reranker.requests import gather_candidates
from degre_pipeline.reranker.search.beam import beam_search
from degre_pipeline.reranker.search.exact import all_list_values
from degre_pipeline.reranker.search.valuation import list_values
from degre_pipeline.reranker.training.loop import fit
from degre_pipeline.reranker.training.objectives import EvaluatorLoss
from degre_pipeline.reranker.training.training_config import TrainingConfig

CONFIG = EvaluatorConfig(layers=1, members=2)


@pytest.fixture
def members(make_evaluator) -> list[LookaheadEvaluator]:
    return [make_evaluator(seed=seed) for seed in range(3)]


def some_lists(requests, count: int = 5) -> torch.Tensor:
    b, n = requests.mask.shape
    return torch.rand(b, count, n).argsort(-1)[..., : requests.list_length]


class TestValues:
    def test_are_the_mean(self, members, make_requests) -> None:
        requests = make_requests(4)
        lists = some_lists(requests)
        own = torch.stack([list_values(member, requests, lists) for member in members])
        found = list_values(EvaluatorEnsemble(members), requests, lists)

        assert torch.allclose(found, own.mean(0))

    def test_of_equal_members_are_the_value_of_one(self, make_evaluator, make_requests) -> None:
        requests = make_requests(4)
        alike = EvaluatorEnsemble([make_evaluator(seed=3) for _ in range(2)])
        found, alone = (beam_search(one, requests, beam_size=3) for one in (alike, make_evaluator(seed=3)))

        assert torch.equal(found.sequences, alone.sequences)
        assert torch.allclose(found.values, alone.values)

    def test_levels_are_the_mean_of_the_members_probabilities(self, members, make_requests) -> None:
        requests = make_requests(4)
        items = gather_candidates(requests.candidates, requests.exposed)
        own = torch.stack([member(requests.static, items).sigmoid() for member in members])

        assert torch.allclose(EvaluatorEnsemble(members).levels(requests.static, items), own.mean(0))


class TestSearch:
    def test_with_stored_prefixes_equals_reencoding(self, members, make_requests) -> None:
        requests, ensemble = make_requests(4), EvaluatorEnsemble(members)
        found = beam_search(ensemble, requests, beam_size=3)
        sequences, values = beam_search_by_reencoding(ensemble, requests, beam_size=3)

        assert torch.equal(found.sequences, sequences)
        assert torch.allclose(found.values, values)

    def test_of_all_lists_finds_the_values_of_single_ones(self, members, make_requests) -> None:
        request, ensemble = make_requests(1, n=5, slots=4), EvaluatorEnsemble(members)
        every = all_list_values(ensemble, request)
        lists = some_lists(request)

        assert torch.allclose(every.value_of(lists[0]), list_values(ensemble, request, lists)[0])


class TestTraining:
    def test_in_one_pass_gives_the_members_trained_alone(self, make_evaluator, make_requests) -> None:
        requests = make_requests(32)
        members = [make_evaluator(seed=seed, dropout=0.0) for seed in range(2)]
        together = MembersInOnePass(members)
        settings = TrainingConfig(epochs=2, batch_size=8, learning_rate=0.01, gradient_clip=0.2, device="cpu")
        fit(
            together,
            EvaluatorLoss(members[0]),
            requests,
            requests,
            settings,
            label="both",
            clip=together.clip_gradients,
        )
        separate = together.separate()
        for member, found in zip(members, separate, strict=True):
            fit(member, EvaluatorLoss(member), requests, requests, settings, label="alone")
            for name, weight in member.state_dict().items():
                assert torch.allclose(found.state_dict()[name], weight, atol=1e-6), name

    def test_members_drop_out_on_their_own(self, make_evaluator, make_requests) -> None:
        requests = make_requests(8)
        items = gather_candidates(requests.candidates, requests.exposed)
        one = make_evaluator(dropout=0.5)
        twice = MembersInOnePass([one, one]).train()

        first, second = twice(requests.static, items)
        assert not torch.allclose(first, second)
        first, second = twice.eval()(requests.static, items)
        assert torch.equal(first, second)

    def test_the_loss_of_an_ensemble_is_the_mean_of_its_members(self, make_evaluator, make_requests) -> None:
        requests = make_requests(8)
        members = [make_evaluator(seed=seed, dropout=0.0) for seed in range(2)]
        items = gather_candidates(requests.candidates, requests.exposed)
        alone = [
            cumulative_regression_loss(
                member(requests.static, items), requests.clicks.cumsum(1), requests.exposed_mask
            )
            for member in members
        ]

        assert torch.allclose(
            EvaluatorLoss(members[0])(MembersInOnePass(members), requests), torch.stack(alone).mean()
        )


class TestStored:
    def test_an_ensemble_comes_back_with_its_members(self, sizes, make_requests) -> None:
        members = [build_evaluator(sizes, 4, CONFIG).eval() for _ in range(2)]
        requests = make_requests(4)
        lists = some_lists(requests)
        trained = store(EvaluatorEnsemble(members), sizes, 4, CONFIG)
        wanted = list_values(EvaluatorEnsemble(members), requests, lists)

        assert torch.equal(list_values(restore_evaluator(trained), requests, lists), wanted)
        assert trained.config["settings"] == asdict(CONFIG)


class TestRefusal:
    @pytest.mark.parametrize("members", [0, 65])
    def test_of_a_number_of_members(self, members: int) -> None:
        with pytest.raises(ValueError, match=rf"members is {members}; allowed: 1 to 64"):
            EvaluatorConfig(members=members)

    @pytest.mark.parametrize("pessimism", [-0.1, 101])
    def test_of_a_pessimism(self, pessimism: float) -> None:
        with pytest.raises(ValueError, match=r"pessimism is .*; allowed: 0 to 100"):
            EvaluatorConfig(pessimism=pessimism)

    def test_of_members_with_different_vocabularies(self, sizes) -> None:
        grown = (replace(sizes[0], indices=sizes[0].indices + 2), *sizes[1:])
        members = [build_evaluator(some, 4, CONFIG) for some in (sizes, grown)]

        with pytest.raises(ValueError, match=r"members differ .*static\.table"):
            EvaluatorEnsemble(members)
