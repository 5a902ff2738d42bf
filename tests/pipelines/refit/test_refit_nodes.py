"""A version that passed the gate, trained once more on the whole log, with a real MLflow database."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from degre_pipeline.pipelines.refit.nodes import (
    check_refit,
    collect_refitted,
    refit_evaluator,
    refit_generator,
    register_refit,
)
from degre_pipeline.release.aliases import positions
from degre_pipeline.release.promotion import roll_back
from degre_pipeline.release.warm_start import what_was_trained_for
from degre_pipeline.reranker.features import NO_FEATURES
from degre_pipeline.reranker.models.model_config import EvaluatorConfig, GeneratorConfig
from degre_pipeline.reranker.models.stored_models import FROM_NOTHING, TrainedWeights, restore_evaluator
from degre_pipeline.reranker.search.mining_config import MiningConfig
from degre_pipeline.reranker.training.objectives import DistillationConfig
from degre_pipeline.reranker.training.step_configs import (
    EvaluatorTrainingConfig,
    GeneratorDistillationConfig,
)
from degre_pipeline.reranker.training.training_config import TrainingConfig
from small_shop import small_generator

NAME = "reranker"
SHAPE = {"embedding_dim": 4, "width": 8, "layers": 1, "heads": 2, "feedforward": 8, "position_dim": 4}
TRAINING = TrainingConfig(epochs=1, batch_size=64, learning_rate=1e-2, device="cpu")
EVALUATOR = EvaluatorTrainingConfig(
    EvaluatorConfig(**SHAPE, head="by_data", company_channels=4, members=2, in_one=True),
    TRAINING,
    external_seed=7,
)
SEARCH = MiningConfig(beam_size=2, most_requests=100, device="cpu")
GENERATOR = GeneratorDistillationConfig(GeneratorConfig(**SHAPE), TRAINING, DistillationConfig())
CHOSEN = [{"head": "company", "chosen": False}, {"head": "page_company", "chosen": True}]


def flipped(shop, chosen) -> Any:
    clicks = torch.where(chosen[:, None], 1 - shop.encoded.clicks, shop.encoded.clicks)
    return replace(shop.encoded, clicks=clicks)


def refit(gate, shop, registered, refitted) -> dict[str, Any]:
    findings = findings_of(gate, shop, refitted)
    evaluators = gate.external_evaluator, gate.external_evaluator
    models = collect_refitted(refitted, *evaluators, shop.feature_space, FROM_NOTHING, NO_FEATURES)
    return register_refit(findings, models, registered, shop.encoded, shop.lists, shop.feature_tables)


@pytest.fixture(scope="module")
def evaluator(shop) -> TrainedWeights:
    return refit_evaluator(shop.encoded, shop.feature_space, CHOSEN, EVALUATOR)


class TestTraining:
    def test_the_evaluator_has_the_gated_head_and_is_one(self, evaluator) -> None:
        settings = evaluator.config["settings"]
        assert (settings["head"], settings["members"]) == ("page_company", 1)
        assert len(restore_evaluator(evaluator).members) == 1

    @pytest.mark.parametrize(("split", "role"), [("train", 0), ("train", 1), ("validation", 0)])
    def test_it_learns_from_every_earlier_request(self, shop, evaluator, split, role) -> None:
        code = {"train": 0, "validation": 1}[split]
        other = flipped(shop, (shop.encoded.split == code) & (shop.encoded.role == role))
        changed = refit_evaluator(other, shop.feature_space, CHOSEN, EVALUATOR)
        assert any(not torch.equal(t, changed.weights[n]) for n, t in evaluator.weights.items())

    def test_the_generator_reads_no_clicks(self, shop, evaluator) -> None:
        one, other = (
            refit_generator(encoded, shop.feature_space, evaluator, SEARCH, GENERATOR)
            for encoded in (shop.encoded, flipped(shop, torch.ones(len(shop.encoded), dtype=torch.bool)))
        )
        assert all(torch.equal(tensor, other.weights[name]) for name, tensor in one.weights.items())


@pytest.mark.usefixtures("programs_made_once")
class TestRelease:
    def harmless(self, shop) -> TrainedWeights:
        """Returns a generator that orders as the gated one does, with weights of its own."""
        weights = {name: tensor.clone() for name, tensor in shop.generator.weights.items()}
        name = next(name for name in weights if name.endswith("bias"))
        weights[name] = weights[name] + 1e-6
        return TrainedWeights(weights, shop.generator.config)

    def test_takes_the_place_of_the_version_that_passed(self, gate, shop, registry) -> None:
        registered = gate.register(shop)
        gate.pass_through(shop, registered)
        result = refit(gate, shop, registered, self.harmless(shop))
        moved = [(m["alias"], m["from_version"], m["to_version"], m["by"]) for m in result["moves"]]

        assert result["version"] == 2
        assert ("champion", 1, 2, "gate") in moved
        assert positions(registry, NAME) == {"challenger": 2, "champion": 2, "previous_champion": 1}
        tags = registry.get_model_version(NAME, "2").tags
        assert (tags["refit_of"], tags["gate_outcome"]) == ("1", "promote")
        assert (tags["training_last_day"], tags["log_last_day"]) == ("2026-01-31", "2026-01-31")
        assert registry.get_model_version(NAME, "1").tags["training_last_day"] == "2026-01-30"

    def test_goes_back_to_the_version_that_passed(self, gate, shop, registry) -> None:
        registered = gate.register(shop)
        gate.pass_through(shop, registered)
        refit(gate, shop, registered, self.harmless(shop))
        roll_back(registry, NAME, who="ann", why="complaints")
        assert positions(registry, NAME)["champion"] == 1

    def test_is_not_registered_twice(self, gate, shop, registry) -> None:
        registered = gate.register(shop)
        gate.pass_through(shop, registered)
        first, second = (refit(gate, shop, registered, self.harmless(shop)) for _ in range(2))
        assert (first["version"], second["version"], second["moves"]) == (2, 2, [])

    def test_keeps_the_evaluators_that_share_no_request_for_a_later_day(self, gate, shop, registry) -> None:
        registered = gate.register(shop)
        gate.pass_through(shop, registered)
        refit(gate, shop, registered, self.harmless(shop))
        kept = what_was_trained_for(registry.get_model_version(NAME, "2")).models["external_evaluator"]
        assert all(torch.equal(t, kept.weights[n]) for n, t in gate.external_evaluator.weights.items())

    def test_leaves_the_champion_alone_where_the_version_does_not_serve(self, gate, shop, registry) -> None:
        registered = gate.register(shop)
        gate.pass_through(shop, registered, promotes="never")
        result = refit(gate, shop, registered, self.harmless(shop))
        assert (result["moves"], positions(registry, NAME)) == ([], {"challenger": 2})

    def test_is_refused_where_the_gate_did_not_pass_the_version(self, gate, shop, registry) -> None:
        registered = gate.register(shop)
        with pytest.raises(
            ValueError, match="outcome for version 1 of reranker is 'not judged'; allowed: 'promote'"
        ):
            refit(gate, shop, registered, self.harmless(shop))
        assert len(registry.search_model_versions(f"name = '{NAME}'")) == 1

    def test_is_refused_where_judges_find_it_worse(self, gate, shop, registry) -> None:
        registered = gate.register(shop)
        gate.pass_through(shop, registered)
        worse = min(
            (small_generator(shop.feature_space, seed=seed) for seed in range(1, 6)),
            key=lambda one: sum(row["measured"] for row in findings_of(gate, shop, one)),
        )
        with pytest.raises(ValueError, match=r"not as good as version 1, which stays: clicks a list by"):
            refit(gate, shop, registered, worse)
        assert positions(registry, NAME)["champion"] == 1
        assert len(registry.search_model_versions(f"name = '{NAME}'")) == 1

    def test_the_next_day_is_compared_with_its_twin_which_left_requests_out(
        self, gate, shop, registry
    ) -> None:
        registered = gate.register(shop)
        gate.pass_through(shop, registered)
        refit(gate, shop, registered, self.harmless(shop))
        second = gate.register(shop, run_date="2026-02-01")
        decision = gate.decide(shop, second)

        # The slice is of a day that the champion has learned from, and its twin has not.
        assert (decision["champion"]["version"], decision["champion"]["training_last_day"]) == (
            2,
            "2026-01-30",
        )
        assert gate.found(decision, "time_forward")[1]["verdict"] == "pass"
        assert gate.record(decision, second)["outcome"] == "promote"
        assert positions(registry, NAME)["champion"] == 3


def findings_of(gate, shop, refitted) -> list[dict[str, Any]]:
    return check_refit(
        gate.slice_of(shop),
        shop.encoded,
        shop.lists,
        shop.generator,
        refitted,
        gate.external_evaluator,
        gate.click_truth,
        gate.settings,
    )
