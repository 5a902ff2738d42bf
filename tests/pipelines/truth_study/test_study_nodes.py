from dataclasses import replace

import pytest
import torch

from degre_pipeline.datasets import ShardsDataset
from degre_pipeline.judging.evaluation_config import EvaluationConfig
from degre_pipeline.judging.study.study_config import StudyConfig
from degre_pipeline.judging.study.study_judges import TRAINED
from degre_pipeline.pipelines.truth_study.nodes import (
    judge_study,
    read_recipe,
    run_arms,
    summarise_study,
    train_study_judges,
    value_random_lists,
)
from degre_pipeline.reranker.models.model_config import EvaluatorConfig, GeneratorConfig
from degre_pipeline.reranker.search.mining_config import MiningConfig
from degre_pipeline.reranker.training.objectives import DistillationConfig
from degre_pipeline.reranker.training.step_configs import (
    EvaluatorTrainingConfig,
    GeneratorDistillationConfig,
)
from degre_pipeline.reranker.training.training_config import TrainingConfig

SHAPE = {"embedding_dim": 8, "width": 16, "layers": 1, "heads": 2, "feedforward": 32, "dropout": 0.0}
TRAINING = TrainingConfig(epochs=4, batch_size=64, learning_rate=1e-2, schedule="one_cycle", device="cpu")
EVALUATOR = EvaluatorConfig(**SHAPE, head="slot_clicks")
STUDY = StudyConfig(
    judge_members=2, ceiling_beam=8, arms={"default": {}, "greedy": {"mining": {"beam_size": 1}}}
)
CONFIG = EvaluationConfig(
    requests=60,
    judged_requests=20,
    comparison_lists=100,
    exact_requests=2,
    bootstrap_samples=50,
    device="cpu",
)
MINING = MiningConfig(beam_size=4, most_requests=100, device="cpu")


def recipe(tensors):
    evaluators = EvaluatorTrainingConfig(EVALUATOR, TRAINING, external_seed=7)
    training = replace(TRAINING, batch_size=32)
    generators = GeneratorDistillationConfig(GeneratorConfig(**SHAPE), training, DistillationConfig())
    return read_recipe([], evaluators, MINING, generators)


@pytest.fixture(scope="module")
def judges(shop_data):
    return train_study_judges(*shop_data, STUDY, recipe(shop_data[0]))


@pytest.fixture(scope="module")
def random_values(shop_data, judges, shop_truth, tmp_path_factory):
    dataset = ShardsDataset(str(tmp_path_factory.mktemp("random")))
    dataset.save(value_random_lists(shop_data[0], judges, shop_truth, CONFIG))
    return dataset.load()


def arms(shop_data, judges, study=STUDY):
    return run_arms(*shop_data, judges, recipe(shop_data[0]), study, CONFIG)


@pytest.fixture(scope="module")
def folder(shop_data, judges, tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("lists"))
    ShardsDataset(folder).save(arms(shop_data, judges))
    return folder


@pytest.fixture(scope="module")
def judged(shop_data, folder, random_values, judges, shop_truth):
    lists = ShardsDataset(folder).load()
    return judge_study(shop_data[0], lists, random_values, judges, shop_truth, CONFIG)


def test_every_list_is_judged_by_all_and_mined_ones_by_their_miner(judged) -> None:
    judgements, _ = judged
    by_arm = judgements.groupby(["arm", "subject"])["judge"].unique().map(set)

    everybody = {*TRAINED, "truth"}
    assert by_arm["reference", "ranking_order"] == everybody
    assert by_arm["default", "generator"] == by_arm["greedy", "teacher"] == {*everybody, "mining"}
    assert judgements.groupby(["arm", "subject", "judge"])["rank"].count()["default", "beam8", "truth"] == 20


def test_a_mined_list_is_good_in_truth_and_no_list_beats_the_optimum(judged) -> None:
    judgements, _ = judged
    rows = summarise_study(judgements, STUDY, CONFIG)
    removed = {
        row["subject"]: row["value"]
        for row in rows
        if row["metric"] == "regret_removed" and row["seed"] == "all"
    }
    assert removed["optimum"] == pytest.approx(1.0)
    assert removed["exposed"] < removed["beam8"] < 1
    truth = judgements[judgements["judge"] == "truth"].pivot_table(
        index="request_id", columns="subject", values="value"
    )
    assert (truth.drop(columns="optimum").max(axis=1) <= truth["optimum"] + 1e-6).all()


def test_the_twin_of_a_judge_is_judged_by_none_that_learned_from_its_requests(judged) -> None:
    judgements, _ = judged
    by_subject = judgements[judgements["arm"] == "twin"].groupby("subject")["judge"].unique().map(set)

    assert by_subject["generator"] == by_subject["teacher"] == {"paper_like", "truth", "mining"}
    assert by_subject["exact_miner"] == {"paper_like", "truth"}
    own = judgements[judgements["judge"] == "second_paper_like"].groupby("subject")["value"].mean()
    mined = judgements[(judgements["arm"] == "twin") & (judgements["judge"] == "mining")]
    teacher = mined[mined["subject"] == "teacher"]
    assert teacher["value"].mean() > own["ranking_order"]


def test_each_evaluator_that_judges_has_its_own_best_lists(judged) -> None:
    judgements, _ = judged
    reference = judgements[judgements["arm"] == "reference"]

    assert {f"best_of_{judge}" for judge in TRAINED[:-1]} < set(reference["subject"])
    for judge in TRAINED[:-1]:
        own = reference[reference["judge"] == judge].groupby("subject")["value"].mean()
        assert own.filter(like="best_of").idxmax() == f"best_of_{judge}"


def test_the_exact_optimum_of_the_judge_is_worth_no_less_than_any_list_by_it(judged) -> None:
    judgements, _ = judged
    external = judgements[judgements["judge"] == "external"]
    best = external[external["subject"] == "exact_judge"].set_index("request_id")["value"]
    found = external[external["request_id"].isin(best.index)]

    assert len(best) == CONFIG.exact_requests
    assert (found["value"] <= found["request_id"].map(best) + 1e-6).all()


def test_the_best_of_an_ensemble_is_among_its_best_percent(judged) -> None:
    judgements, agreement = judged
    own = judgements[(judgements["subject"] == "best_of_external") & (judgements["judge"] == "external")]

    assert (own["rank"] == 0).all()
    assert agreement["members"].tolist() == [1, 2]


def made_anew(shop_data, judges, folder, study) -> list[str]:
    """Saves the study's lists, and returns the arms and seeds of the shards that were not there."""
    shards, made = arms(shop_data, judges, study), []
    ShardsDataset(folder).save(replace(shards, make=lambda name: made.append(name) or shards.make(name)))
    return [name.rpartition(".")[0] or name for name in made]


def test_one_more_seed_leaves_the_finished_arms_as_they_are(shop_data, judges, folder) -> None:
    finished = ShardsDataset(folder).load()
    files = {name: finished.load(name) for name in finished if name.startswith(("reference", "default.0."))}
    made = made_anew(shop_data, judges, folder, replace(STUDY, seeds=[0, 1]))
    loaded = ShardsDataset(folder).load()

    assert len(files) == 2
    assert made == ["default.1", "greedy.1"]
    assert all(
        torch.equal(loaded.load(name)[key], t) for name, own in files.items() for key, t in own.items()
    )


def test_an_arm_whose_settings_changed_under_its_name_is_run_again(shop_data, judges, folder) -> None:
    made_anew(shop_data, judges, folder, STUDY)
    changed = {"default": {}, "greedy": {"mining": {"beam_size": 2}}}

    assert made_anew(shop_data, judges, folder, replace(STUDY, arms=changed)) == ["greedy.0"]


def test_a_request_that_trains_miners_and_judges_is_refused(shop_data) -> None:
    tensors, space = shop_data
    ids = tensors.request_id.clone()
    learns = tensors.split == 0
    ids[(learns & (tensors.role == 1)).nonzero()[0]] = ids[(learns & (tensors.role == 0)).nonzero()[0]]
    with pytest.raises(
        ValueError, match=r"^1 of the \d+ requests that train the judges also train the miners"
    ):
        train_study_judges(replace(tensors, request_id=ids), space, STUDY, recipe(tensors))


def test_values_of_random_lists_are_the_judges_own(shop_data, judges, random_values, shop_truth) -> None:
    assert set(random_values.names) == {*TRAINED, "truth"}
    for name in random_values:
        values = random_values.load(name)["values"]
        assert values.shape == (20, 100)
        assert float(values.std(1).min()) > 0
