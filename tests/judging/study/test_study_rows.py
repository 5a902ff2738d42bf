import numpy as np
import pandas as pd
import pytest
import torch

from degre_pipeline.judging.evaluation_config import EvaluationConfig
from degre_pipeline.judging.study.judged_lists import agreement_by_size
from degre_pipeline.judging.study.study_config import Recipe, StudyConfig
from degre_pipeline.judging.study.study_rows import study_rows
from degre_pipeline.reports.truth_study_page import as_markdown, draw
from degre_pipeline.reranker.models.model_config import EvaluatorConfig, GeneratorConfig
from degre_pipeline.reranker.search.mining_config import MiningConfig
from degre_pipeline.reranker.training.objectives import DistillationConfig
from degre_pipeline.reranker.training.training_config import TrainingConfig

CONFIG = EvaluationConfig(comparison_lists=100, bootstrap_samples=40)


def judged(arm, seed, subject, judge, values, ranks) -> pd.DataFrame:  # noqa: PLR0917 - a table
    facts = {"arm": arm, "seed": seed, "subject": subject, "judge": judge}
    return pd.DataFrame({**facts, "request_id": [7, 8], "value": values, "rank": ranks})


@pytest.fixture
def judgements() -> pd.DataFrame:
    nan = np.nan
    return pd.concat(
        [
            judged("reference", "", "ranking_order", "truth", [1.0, 1.0], [50, 50]),
            judged("reference", "", "optimum", "truth", [2.0, 2.0], [nan, nan]),
            judged("default", "0", "generator", "truth", [1.5, 1.5], [0, 3]),
            judged("default", "1", "generator", "truth", [1.5, 2.0], [0, 0]),
            judged("default", "0", "generator", "mining", [1.8, 1.5], [0, 0]),
            judged("default", "0", "teacher", "truth", [1.5, 1.5], [0, 0]),
            judged("paper", "0", "generator", "truth", [1.2, 1.0], [20, 20]),
        ],
        ignore_index=True,
    )


@pytest.fixture
def rows(judgements):
    return study_rows(judgements, "simulated", "default", CONFIG)


def value(rows, subject, metric, seed, judge="truth") -> float:
    found = [
        row
        for row in rows
        if (row["subject"], row["judge"], row["metric"], row["seed"]) == (subject, judge, metric, seed)
    ]
    assert len(found) == 1
    return found[0]["value"]


def test_figures_by_hand(rows) -> None:
    assert value(rows, "generator", "utility", 0) == pytest.approx(1.5)
    assert value(rows, "generator", "hr1", 0) == pytest.approx(0.5)
    assert value(rows, "generator", "over_ranking_order", 1) == pytest.approx(0.75)
    assert value(rows, "generator", "regret_removed", 1) == pytest.approx(0.75)
    assert value(rows, "ranking_order", "regret_removed", None) == pytest.approx(0.0)
    assert value(rows, "paper.generator", "regret_removed", 0) == pytest.approx(0.1)
    assert value(rows, "generator", "hr1_below_teacher", 0) == pytest.approx(0.5)
    # The miner says 3.3 clicks of what is worth 3.0.
    assert value(rows, "generator", "optimism", 0) == pytest.approx(0.1)
    assert value(rows, "paper.generator", "over_first_arm", 0) == pytest.approx(-0.4)


def test_over_all_seeds_requests_are_averaged_first(rows) -> None:
    pooled = [row for row in rows if row["seed"] == "all" and row["metric"] == "regret_removed"]
    own = next(row for row in pooled if row["subject"] == "generator")

    assert own["value"] == pytest.approx(0.625)
    assert 0.5 <= own["low"] <= own["value"] <= own["high"] <= 0.75


def study_of(*parts: pd.DataFrame) -> list[dict[str, object]]:
    """Figures of made-up lists beside a ranking order worth 1 and 1 click and best lists worth 2 and 5."""
    references = [
        judged("reference", "", "ranking_order", "truth", [1.0, 1.0], [50, 50]),
        judged("reference", "", "optimum", "truth", [2.0, 5.0], [np.nan, np.nan]),
    ]
    return study_rows(pd.concat([*parts, *references], ignore_index=True), "simulated", "default", CONFIG)


def test_regret_removed_is_a_ratio_of_sums_so_that_a_request_counts_by_what_it_can_gain() -> None:
    rows = study_of(judged("default", "0", "generator", "truth", [1.5, 2.0], [0, 0]))

    # Of the 1 and the 4 clicks to gain, half a click and one are: not the mean of 1/2 and 1/4.
    assert value(rows, "generator", "regret_removed", 0) == pytest.approx((0.5 + 1.0) / (1.0 + 4.0))
    assert value(rows, "generator", "over_ranking_order", 0) == pytest.approx((0.5 + 1.0) / 2)
    assert value(rows, "optimum", "regret_removed", None) == pytest.approx(1.0)
    assert value(rows, "ranking_order", "regret_removed", None) == pytest.approx(0.0)
    assert not [
        row for row in rows if (row["subject"], row["metric"]) == ("ranking_order", "over_ranking_order")
    ]


def test_every_subject_but_the_ranking_order_itself_is_held_against_it(rows) -> None:
    subjects = {row["subject"] for row in rows if row["metric"] == "over_ranking_order"}

    assert subjects == {"generator", "teacher", "paper.generator", "optimum"}
    assert value(rows, "teacher", "over_ranking_order", 0) == pytest.approx(1.5 - 1.0)


def test_over_all_seeds_the_share_is_the_mean_of_their_shares() -> None:
    rows = study_of(
        judged("default", "0", "generator", "truth", [1.5, 2.0], [0, 0]),
        judged("default", "1", "generator", "truth", [1.0, 4.0], [0, 0]),
    )

    assert value(rows, "generator", "regret_removed", 1) == pytest.approx((0.0 + 3.0) / (1.0 + 4.0))
    # Request 7 gains 0.5 and 0, request 8 gains 1 and 3; the best lists gain 1 and 4.
    by_request = ((0.5 + 0.0) / 2, (1.0 + 3.0) / 2)
    assert value(rows, "generator", "regret_removed", "all") == pytest.approx(sum(by_request) / (1.0 + 4.0))
    pooled = next(
        row
        for row in rows
        if (row["subject"], row["metric"], row["seed"]) == ("generator", "regret_removed", "all")
    )
    # Two requests drawn with replacement: both times 7, both times 8, or one of each.
    assert pooled["low"] == pytest.approx(0.25 / 2.5)
    assert pooled["high"] == pytest.approx(2.0 / 2.5)


def test_optimism_is_the_miners_sum_over_the_judges_sum() -> None:
    rows = study_of(
        judged("default", "0", "generator", "mining", [3.0, 1.0], [0, 0]),
        judged("default", "0", "generator", "truth", [2.0, 0.5], [0, 0]),
        judged("default", "0", "generator", "external", [4.0, 1.0], [0, 0]),
        judged("default", "0", "teacher", "truth", [2.0, 0.5], [0, 0]),
    )

    # Not the mean of 3 / 2 - 1 and 1 / 0.5 - 1, which is 0.75.
    assert value(rows, "generator", "optimism", 0) == pytest.approx((3.0 + 1.0) / (2.0 + 0.5) - 1)
    # Below zero where the miner expects less than the judge.
    assert value(rows, "generator", "optimism", 0, "external") == pytest.approx((3.0 + 1.0) / (4.0 + 1.0) - 1)
    told = {(row["subject"], row["judge"]) for row in rows if row["metric"] == "optimism"}
    assert told == {("generator", "truth"), ("generator", "external")}


def test_a_generator_is_held_against_the_teacher_of_its_own_arm_and_seed() -> None:
    rows = study_of(
        judged("default", "0", "generator", "truth", [1.0, 1.0], [0, 5]),
        judged("default", "0", "teacher", "truth", [1.0, 1.0], [0, 0]),
        judged("default", "1", "generator", "truth", [1.0, 1.0], [0, 0]),
        judged("default", "1", "teacher", "truth", [1.0, 1.0], [5, 5]),
        judged("paper", "0", "generator", "truth", [1.0, 1.0], [5, 5]),
        judged("paper", "0", "teacher", "truth", [1.0, 1.0], [0, 5]),
    )

    # Hits of the teacher less hits of the generator: (1 - 1), (1 - 0); (0 - 1) twice; (1 - 0), (0 - 0).
    assert value(rows, "generator", "hr1_below_teacher", 0) == pytest.approx((0 + 1) / 2)
    assert value(rows, "generator", "hr1_below_teacher", 1) == pytest.approx((-1 - 1) / 2)
    assert value(rows, "generator", "hr1_below_teacher", "all") == pytest.approx((0 + 1 - 1 - 1) / 4)
    assert value(rows, "paper.generator", "hr1_below_teacher", 0) == pytest.approx((1 + 0) / 2)
    assert {row["subject"] for row in rows if row["metric"] == "hr1_below_teacher"} == {
        "generator",
        "paper.generator",
    }


def test_a_further_arm_is_held_against_the_first_of_the_same_seed_request_and_judge() -> None:
    rows = study_of(
        judged("default", "0", "generator", "truth", [1.0, 2.0], [0, 0]),
        judged("default", "1", "generator", "truth", [4.0, 8.0], [0, 0]),
        judged("default", "0", "generator", "external", [10.0, 10.0], [0, 0]),
        # The rows of the other arm lie in another order of requests.
        judged("paper", "1", "generator", "truth", [4.5, 8.0], [0, 0])[::-1],
        judged("paper", "0", "generator", "truth", [1.0, 2.25], [0, 0])[::-1],
        judged("paper", "0", "generator", "external", [9.0, 7.0], [0, 0]),
        judged("paper", "2", "generator", "truth", [9.0, 9.0], [0, 0]),  # a seed that the first arm has not
    )

    assert value(rows, "paper.generator", "over_first_arm", 0) == pytest.approx((0.0 + 0.25) / 2)
    assert value(rows, "paper.generator", "over_first_arm", 1) == pytest.approx((0.5 + 0.0) / 2)
    assert value(rows, "paper.generator", "over_first_arm", 0, "external") == pytest.approx((-1.0 - 3.0) / 2)
    compared = [(row["subject"], row["seed"]) for row in rows if row["metric"] == "over_first_arm"]
    assert set(compared) == {("paper.generator", seed) for seed in (0, 1, "all")}


def test_hits_count_strictly_better_lists_among_the_compared_ones() -> None:
    rows = study_of(judged("default", "0", "generator", "truth", [1.0, 1.0], [1, 2]))
    unranked = study_of(judged("default", "0", "generator", "truth", [1.0, 1.0], [9, np.nan]))

    # One better list of 100 is one percent, which is no hit of HR@1%, but one of HR@3%.
    assert value(rows, "generator", "hr1", 0) == 0.0
    assert value(rows, "generator", "hr3", 0) == pytest.approx((1 + 1) / 2)
    # A list that was not compared is left out, not counted as a hit or a miss.
    assert value(unranked, "generator", "hr3", 0) == 0.0
    assert value(unranked, "generator", "hr10", 0) == 1.0


def test_rows_name_their_data_and_hold_numbers_only(rows) -> None:
    assert {row["data"] for row in rows} == {"simulated"}
    assert all(np.isfinite(row["value"]) for row in rows)
    assert {row["seed"] for row in rows} == {None, 0, 1, "all"}


def test_the_page_tells_every_subject_and_judge(rows) -> None:
    agreement = pd.DataFrame({"members": [1], "rank_correlation": [0.5], "hr1_of_best": [0.2]})
    tables, picture = as_markdown(rows, agreement), draw(rows, agreement)

    assert "| paper.generator | 1 | 0.000 [0.000, 0.000] |" in tables
    assert "| generator | 2 | 0.750 [" in tables
    assert "| ranking_order | – | 0.000" in tables
    assert "| 1 | 0.5 | 0.2 |" in tables
    assert picture.count("<svg") == 1
    assert draw(rows, agreement) == picture


def test_where_nobody_knows_the_truth_the_page_says_so_and_the_picture_leaves_it_out(judgements) -> None:
    agreement = pd.DataFrame({"members": [1], "rank_correlation": [0.5], "hr1_of_best": [0.2]})
    rows = study_rows(judgements.replace({"judge": {"truth": "external"}}), "ml1m", "default", CONFIG)
    known = [row for row in rows if row["metric"] != "regret_removed"]
    tables, picture = as_markdown(known, agreement), draw(known, agreement)

    assert "in truth\n\nNone." in tables
    assert "| ranking_order | – | 0.000" in tables
    assert picture.count('id="axes_') == draw(rows, agreement).count('id="axes_') - 1


def test_larger_ensembles_of_noisy_members_agree_better() -> None:
    generator = torch.Generator().manual_seed(0)
    signal = torch.randn(1, 5, 400, generator=generator)
    noisy = [(signal + 2 * torch.randn(8, 5, 400, generator=generator)).numpy() for _ in range(2)]
    found = agreement_by_size(*noisy)

    assert found["members"].tolist() == list(range(1, 9))
    assert found["rank_correlation"].iloc[7] > found["rank_correlation"].iloc[0] + 0.3
    same = agreement_by_size(noisy[0], noisy[0])
    assert same["rank_correlation"].tolist() == pytest.approx([1.0] * 8)
    assert same["hr1_of_best"].tolist() == [1.0] * 8


class TestSettings:
    RECIPE = Recipe(
        EvaluatorConfig(),
        TrainingConfig(),
        MiningConfig(),
        GeneratorConfig(),
        TrainingConfig(),
        DistillationConfig(),
    )

    def test_an_arm_changes_what_it_names_and_takes_the_seed(self) -> None:
        changed = self.RECIPE.changed({"evaluator": {"head": "slot_clicks"}, "mining": {"beam_size": 2}}, 3)

        assert (changed.evaluator.head, changed.mining.beam_size) == ("slot_clicks", 2)
        assert (changed.evaluator_training.seed, changed.generator_training.seed) == (3, 3)
        assert changed.distillation == self.RECIPE.distillation

    @pytest.mark.parametrize(
        ("arm", "message"),
        [
            (
                {"evaluator": {"haed": "monotone"}},
                r"settings of an arm's evaluator is \['haed'\]; allowed: emb",
            ),
            ({"mining": {"beam_size": 0}}, "beam_size is 0; allowed"),
        ],
    )
    def test_what_an_arm_cannot_set_is_named(self, arm, message) -> None:
        with pytest.raises(ValueError, match=message):
            self.RECIPE.changed(arm, 0)

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"seeds": []}, r"seeds is \[\]; allowed: one whole number or more"),
            ({"seeds": [1, 1]}, "each once"),
            ({"seeds": [1002]}, "judge_seed is 1000; allowed: a number from which four on are none of the"),
            ({"judge_members": 0}, "judge_members is 0; allowed: 1 to 64"),
            ({"arms": {}}, "arms is {}; allowed: one or more"),
            ({"arms": {"a": None}}, "arm a is None; allowed: settings by section; to leave an arm out, name"),
            ({"run": ["nobody"]}, "name in run is 'nobody'; allowed: default"),
            ({"arms": {"a": {"minning": {}}}}, r"sections of arm a is \['minning'\]; allowed: evaluator, "),
            ({"arms": {"a.b": {}}}, "name of an arm is 'a.b'; allowed: letters"),
            ({"arms": {"twin": {}}}, "name of an arm is 'twin'; allowed: .* not reference or twin"),
            ({"fewer_seeds": {"b": 1}}, "name in fewer_seeds is 'b'; allowed: default"),
            ({"fewer_seeds": {"default": 0}}, "fewer_seeds of default is 0; allowed: 1 or more, or null"),
        ],
    )
    def test_what_cannot_be_studied_is_named(self, settings, message) -> None:
        with pytest.raises(ValueError, match=message):
            StudyConfig(**settings)

    def test_an_arm_may_be_run_with_fewer_seeds(self) -> None:
        study = StudyConfig(seeds=[4, 2, 0], arms={"default": {}, "dear": {}}, fewer_seeds={"dear": 2})

        assert (study.seeds_of("default"), study.seeds_of("dear")) == ([4, 2, 0], [4, 2])
