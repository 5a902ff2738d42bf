import numpy as np
import pandas as pd
import pytest
import torch
from by_hand import AddingJudge, requests_of, truth_of

from degre_pipeline.judging.evaluation_config import EvaluationConfig
from degre_pipeline.judging.judgements import add_ranks, add_truth, comparison_values, judge_subjects
from degre_pipeline.judging.judges import Optimum, TruthJudge, true_optimum
from degre_pipeline.reranker.search.valuation import random_lists_of

CONFIG = EvaluationConfig(judged_requests=2, comparison_lists=50, seed=3, device="cpu")
LISTS = {"generator": torch.tensor([[0, 1], [2, 1]]), "random": torch.tensor([[1, 2], [0, -1]])}
ADDING = AddingJudge({7: [0.1, 0.2, 0.4], 8: [1.0, 2.0, 4.0]})


def of(judgements: pd.DataFrame, subject: str, judge: str = "adding") -> pd.DataFrame:
    """The judgements of one subject by one judge, in the order of the requests."""
    found = judgements[(judgements["subject"] == subject) & (judgements["judge"] == judge)]
    return found.sort_values("request_id")


class TestJudgeSubjects:
    @pytest.mark.parametrize("batch_size", [1, 2])
    def test_by_hand(self, batch_size) -> None:
        found = judge_subjects(requests_of([7, 8]), LISTS, [ADDING], batch_size)
        generator, drawn = of(found, "generator"), of(found, "random")

        assert len(found) == 2 * 2
        assert generator["request_id"].tolist() == [7, 8]
        assert generator["value"].tolist() == pytest.approx([0.1 + 0.2, 4.0 + 2.0])
        assert drawn["value"].tolist() == pytest.approx([0.2 + 0.4, 1.0])
        assert np.stack(generator["slot_values"]) == pytest.approx(np.array([[0.1, 0.2], [4.0, 2.0]]))
        assert np.stack(drawn["slot_values"]) == pytest.approx(np.array([[0.2, 0.4], [1.0, 0.0]]))

    def test_a_list_is_worth_all_its_slots(self) -> None:
        lists = {"generator": torch.tensor([[0, 2, 1], [1, 0, -1]])}
        found = judge_subjects(requests_of([7, 8], slots=3), lists, [ADDING], 2)

        assert found["value"].tolist() == pytest.approx([0.1 + 0.4 + 0.2, 2.0 + 1.0])
        assert np.stack(found["slot_values"]) == pytest.approx(np.array([[0.1, 0.4, 0.2], [2.0, 1.0, 0.0]]))

    def test_every_judge_says_its_own(self) -> None:
        doubling = AddingJudge({7: [0.2, 0.4, 0.8], 8: [2.0, 4.0, 8.0]}, name="doubling")
        found = judge_subjects(requests_of([7, 8]), LISTS, [ADDING, doubling], 2)

        once, twice = of(found, "random"), of(found, "random", "doubling")
        assert twice["value"].tolist() == pytest.approx([2 * value for value in once["value"]])


class TestAddTruth:
    optimum = Optimum(np.array([[2, 1]] * 2), np.array([1.2, 3.0]), np.array([1.0, 2.0]))

    def test_regret_is_what_the_best_list_has_more(self) -> None:
        truth = AddingJudge({7: [0.1, 0.2, 0.4], 8: [1.0, 2.0, 4.0]}, name="truth")
        found = add_truth(judge_subjects(requests_of([7, 8]), LISTS, [truth, ADDING], 2), self.optimum)

        assert of(found, "generator", "truth")["regret"].tolist() == pytest.approx([1.2 - 0.3, 3.0 - 6.0])
        assert of(found, "random", "truth")["regret"].tolist() == pytest.approx([1.2 - 0.6, 3.0 - 1.0])
        # Slots of 0.1 and 0.2 over 1.0; of 4 and 2 over 2.0; the second slot counts 1 / log2(3).
        second = 1 / np.log2(3)
        by_hand = [(0.1 + 0.2 * second) / 1.0, (4.0 + 2.0 * second) / 2.0]
        assert of(found, "generator", "truth")["ndcg"].tolist() == pytest.approx(by_hand)
        assert found[found["judge"] == "adding"][["regret", "ndcg"]].isna().all(axis=None)

    def test_the_best_lists_of_a_world_have_no_regret_and_an_ndcg_of_one(self) -> None:
        world = truth_of({7: [0.5, 0.4, 0.8], 8: [0.8, 0.4, 0.5]})
        optimum = true_optimum(world, 2)
        # Of the two best lists of each request, the one with the likelier click first.
        lists = {"generator": torch.tensor([[2, 1], [0, 1]]), "random": torch.tensor([[0, 1], [0, 2]])}
        found = add_truth(judge_subjects(requests_of([7, 8]), lists, [TruthJudge(world)], 2), optimum)

        assert of(found, "generator", "truth")["regret"].tolist() == pytest.approx([0, 0], abs=1e-6)
        assert of(found, "generator", "truth")["ndcg"].tolist() == pytest.approx([1, 1], abs=1e-6)
        # [0, 1] is worth 0.5 + 0.4 of 1.2; [0, 2] in request 8 is worth 0.8 + 0.2 of 1.2.
        assert of(found, "random", "truth")["regret"].tolist() == pytest.approx([0.3, 0.2], abs=1e-6)

    def test_is_unknown_where_nobody_knows_the_best_list(self) -> None:
        found = add_truth(judge_subjects(requests_of([7, 8]), LISTS, [ADDING], 2), None)

        assert found[["regret", "ndcg"]].isna().all(axis=None)


class TestAddRanks:
    def ranked(self, *judges, requests=None, config=CONFIG) -> tuple[pd.DataFrame, pd.DataFrame]:
        asked = requests or requests_of([7, 8])
        # Rows in another order than the requests: ranks must be looked up by request.
        judged = judge_subjects(asked, LISTS, judges, 2)[::-1].reset_index(drop=True)
        return add_ranks(judged, asked, judges, config)

    def test_by_counting_the_random_lists_that_are_better(self) -> None:
        """Of three items worth 1, 2 and 4, lists of two are worth 3, 5 or 6: each is drawn about 17 times."""
        found, _ = self.ranked(ADDING, AddingJudge(ADDING.worths, "copy"))
        drawn = random_lists_of(requests_of([7, 8]), 50, 3).tolist()
        sets = [[sorted(one) for one in lists] for lists in drawn]
        seven, eight = ([lists.count(items) for items in ([0, 1], [0, 2], [1, 2])] for lists in sets)

        assert sum(seven) == sum(eight) == 50
        assert min(seven + eight) > 0
        # The generator's [0, 1] in request 7 is the worst pair, its [2, 1] in request 8 the best one.
        assert of(found, "generator")["rank"].tolist() == [seven[1] + seven[2], 0]
        # The other subject's [1, 2] is the best pair of request 7; the lone item 0 is below every pair.
        assert of(found, "random")["rank"].tolist() == [0, 50]
        assert of(found, "generator")["ties"].tolist() == pytest.approx([(seven[0] + eight[2]) / 100] * 2)
        assert of(found, "random")["ties"].tolist() == pytest.approx([(seven[2] + 0) / 100] * 2)

    def test_what_differs_beyond_six_decimals_is_a_tie(self) -> None:
        """All lists hold the same two items, one of which is worth a billionth more when it comes first."""

        class Trembling(AddingJudge):
            def prefix_values(self, requests, sequences):
                return super().prefix_values(requests, sequences) + 1e-9 * (sequences.numpy()[..., :1] == 1)

        asked = requests_of([7, 8], real=[2, 2])
        judge = Trembling({7: [0.25, 0.5, 0.0], 8: [1.0, 2.0, 0.0]})
        lists = {"generator": torch.tensor([[0, 1], [0, 1]])}
        judges = [judge, AddingJudge(judge.worths, "steady")]
        found, _ = add_ranks(judge_subjects(asked, lists, judges, 2), asked, judges, CONFIG)

        assert found["rank"].tolist() == [0] * 4
        assert found["ties"].tolist() == [1.0] * 4

    def test_requests_beyond_the_first_ones_have_no_rank(self) -> None:
        found, agreement = self.ranked(
            ADDING,
            AddingJudge(ADDING.worths, "copy"),
            config=EvaluationConfig(judged_requests=1, comparison_lists=50, device="cpu"),
        )

        assert found[found["request_id"] == 7][["rank", "ties"]].notna().all(axis=None)
        assert found[found["request_id"] == 8][["rank", "ties"]].isna().all(axis=None)
        assert agreement["request_id"].tolist() == [7]

    def test_agreement_of_judges_that_order_lists_alike_and_the_other_way_round(self) -> None:
        alike = AddingJudge({7: [1, 2, 4], 8: [10, 20, 40]}, name="alike")
        opposed = AddingJudge({7: [-1, -2, -4], 8: [-1, -2, -4]}, name="opposed")
        _, agreement = self.ranked(ADDING, alike, opposed)

        found = {pair: part["rank_correlation"].tolist() for pair, part in agreement.groupby("judges")}
        assert found == {
            "adding-alike": pytest.approx([1.0, 1.0]),
            "adding-opposed": pytest.approx([-1.0, -1.0]),
            "alike-opposed": pytest.approx([-1.0, -1.0]),
        }


def test_random_lists_are_valued_whole_and_rounded() -> None:
    judge = AddingJudge({7: [0.1234564, 0.25, 0.5], 8: [1.0, 2.0, 4.0]})
    values = comparison_values(judge, requests_of([7, 8], slots=3), CONFIG)

    assert values.shape == (2, 50)
    # Every list of three holds all three items.
    assert set(values[0].tolist()) == {0.873456}
    assert set(values[1].tolist()) == {1.0 + 2.0 + 4.0}
