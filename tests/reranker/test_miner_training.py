"""Several evaluators in one, and one that is held back by the log."""

from dataclasses import replace

import pytest
import torch

from degre_pipeline.reranker.compression import compress
from degre_pipeline.reranker.discriminator_training import held_back_by_log
from degre_pipeline.reranker.evaluator_training import train_evaluator
from degre_pipeline.reranker.miner_training import ready_to_mine
from degre_pipeline.reranker.models.model_config import EvaluatorConfig
from degre_pipeline.reranker.models.stored_models import (
    TrainedWeights,
    member_weights,
    restore_evaluator,
    restore_miner,
)
from degre_pipeline.reranker.requests import gather_candidates
from degre_pipeline.reranker.search.beam import beam_search
from degre_pipeline.reranker.search.valuation import list_values, random_lists_of
from degre_pipeline.reranker.training.training_config import TrainingConfig

SHAPE = {"embedding_dim": 4, "width": 8, "layers": 1, "heads": 2, "feedforward": 16, "position_dim": 4}
MODEL = EvaluatorConfig(**SHAPE, head="company", company_channels=4, members=3, in_one=True)
TRAINING = TrainingConfig(epochs=3, warm_epochs=4, batch_size=64, learning_rate=1e-2, device="cpu")
HEADS = (
    "cumulative",
    "slot_clicks",
    "hindsight",
    "survival",
    "appeal",
    "company",
    "page_company",
    "leaving_company",
)


@pytest.fixture(scope="module")
def parts(shop_data):
    requests, _ = shop_data
    return requests.of("train", "mining"), requests.of("validation", "mining")


def trained(parts, space, **changed) -> TrainedWeights:
    return train_evaluator(
        *parts,
        sizes=space.sizes(),
        config=replace(MODEL, **changed),
        training=TRAINING,
        name="members",
        encoding=parts[0].encoding,
    )[0]


@pytest.fixture(scope="module")
def ensemble(parts, shop_data) -> TrainedWeights:
    return trained(parts, shop_data[1])


def error(one, other, requests) -> float:
    """Returns the mean squared difference of two evaluators' values of random lists."""
    lists = random_lists_of(requests, 3, seed=9)
    return float((list_values(one, requests, lists) - list_values(other, requests, lists)).square().mean())


class TestInOne:
    def test_the_pupil_is_nearer_to_the_mean_than_any_member(self, parts, ensemble) -> None:
        pupil = restore_evaluator(compress(ensemble, *parts, training=TRAINING, name="one")[0])
        teacher = restore_evaluator(ensemble)
        members = [error(member, teacher, parts[1]) for member in teacher.members]

        assert pupil.members == [pupil]
        assert error(pupil, teacher, parts[1]) < 0.5 * min(members)

    def test_it_reads_no_click_and_no_exposed_list(self, parts, ensemble) -> None:
        other = [
            replace(part, clicks=1 - part.clicks).showing(part.shown.flip(1).where(part.exposed_mask, -1))
            for part in parts
        ]
        one, same = (compress(ensemble, *given, training=TRAINING, name="one")[0] for given in (parts, other))
        assert all(torch.equal(tensor, same.weights[name]) for name, tensor in one.weights.items())

    @pytest.mark.parametrize("head", HEADS)
    def test_any_head_can_be_imitated(self, parts, shop_data, head) -> None:
        several = trained(parts, shop_data[1], head=head, members=2)
        history = compress(several, *parts, training=TRAINING, name="one")[1]

        assert len(history) == TRAINING.warm_epochs
        assert history[-1]["validation_loss"] < history[0]["validation_loss"] + 1e-3

    def test_of_one_member_is_refused(self, parts, ensemble) -> None:
        alone = TrainedWeights(
            member_weights(ensemble, 0),
            {**ensemble.config, "settings": {**ensemble.config["settings"], "members": 1, "in_one": False}},
        )
        with pytest.raises(ValueError, match="members is 1; allowed: 2 or more"):
            compress(alone, *parts, training=TRAINING, name="one")

    def test_of_members_with_other_vocabularies_is_refused(self, parts, ensemble) -> None:
        other = TrainedWeights(ensemble.weights, {**ensemble.config, "feature_space": "another"})
        with pytest.raises(ValueError, match="trained with feature space 'another', but the requests"):
            compress(other, *parts, training=TRAINING, name="one")

    def test_a_single_member_in_one_is_refused(self) -> None:
        with pytest.raises(ValueError, match="in_one is True; allowed: false with a single member"):
            replace(MODEL, members=1)


class TestHeldBack:
    def test_mined_lists_become_more_like_logged_ones(self, parts, ensemble) -> None:
        free = TrainedWeights(
            ensemble.weights,
            {**ensemble.config, "settings": {**ensemble.config["settings"], "pessimism": 5.0}},
        )
        miner = restore_miner(held_back_by_log(free, *parts, training=TRAINING, name="closeness"))
        held_out = parts[1]
        before, after = (
            beam_search(one, held_out, beam_size=4).sequences[:, :1] for one in (miner.evaluator, miner)
        )
        closeness = [list_values(miner.discriminator, held_out, lists).mean() for lists in (before, after)]
        clicks = [list_values(miner.evaluator, held_out, lists).mean() for lists in (before, after)]

        assert closeness[1] > closeness[0]
        assert clicks[1] < clicks[0]

    def test_the_discriminator_tells_logged_lists_from_mined_ones(self, parts, ensemble) -> None:
        settings = {**ensemble.config["settings"], "pessimism": 1.0}
        held = held_back_by_log(
            TrainedWeights(ensemble.weights, {**ensemble.config, "settings": settings}),
            *parts,
            training=TRAINING,
            name="closeness",
        )
        miner, held_out = restore_miner(held), parts[1]
        mined = beam_search(miner.evaluator, held_out, beam_size=8).sequences[:, 0]

        def chance(lists) -> float:
            items = gather_candidates(held_out.candidates, lists)
            with torch.no_grad():
                return float(miner.discriminator(held_out.static, items)[..., 0].sigmoid().mean())

        assert chance(held_out.exposed) > chance(mined) + 0.05

    @pytest.mark.parametrize("pessimism", [-0.1, 101])
    def test_of_a_pessimism_that_is_none(self, pessimism: float) -> None:
        with pytest.raises(ValueError, match=r"pessimism is .*; allowed: 0 to 100"):
            replace(MODEL, pessimism=pessimism)


def test_neither_is_done_where_neither_is_asked_for(parts, ensemble) -> None:
    plain = replace(MODEL, in_one=False)
    assert ready_to_mine(ensemble, *parts, plain, TRAINING, name="miner") is ensemble


def test_both_may_be_asked_for(parts, ensemble) -> None:
    both = replace(MODEL, pessimism=0.5)
    given = TrainedWeights(
        ensemble.weights, {**ensemble.config, "settings": {**ensemble.config["settings"], "pessimism": 0.5}}
    )
    miner = restore_miner(ready_to_mine(given, *parts, both, TRAINING, name="miner"))

    assert len(miner.members) == 1
    assert miner.pessimism == 0.5
