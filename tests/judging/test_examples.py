import numpy as np
import pandas as pd
import pytest
import torch

from degre_pipeline.judging.examples import FIXED_COLUMNS, choose_requests, value_judge
from degre_pipeline.pipelines.evaluation.nodes import pick_examples

SUBJECTS = ("generator", "beam", "ranking_order", "random", "exposed")


def judged(judge: str, gains: list[float], beam_gains: list[float] | None = None) -> pd.DataFrame:
    """Requests 100, 101, ...: the ranking order is worth 1, the generator its gain more."""
    value = {"ranking_order": np.ones(len(gains)), "generator": 1 + np.array(gains)}
    value["beam"] = 1 + np.array(beam_gains or gains)
    frames = []
    for subject in SUBJECTS:
        values = value.get(subject, np.full(len(gains), 0.5))
        frames.append(
            pd.DataFrame(
                {
                    "request_id": np.arange(100, 100 + len(gains)),
                    "subject": subject,
                    "judge": judge,
                    "value": values,
                    "slot_values": [np.array([0.75, 0.25]) * v for v in values],
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def test_each_reason_takes_its_request() -> None:
    gains = [0.9, 0.4, 0.25, 0.2, 0.1, -0.5, 0.0, 0.6, -0.1]  # upper quartile 0.4, median 0.2
    truth = judged("truth", gains, [0.9, 0.4, 0.25, 0.2, 0.8, -0.5, 0.0, 0.6, -0.1])
    external = judged("external", [0.9, 0.4, 0.25, 0.2, 0.1, -0.5, 0.6, 0.6, -0.1])

    chosen = choose_requests(pd.concat([truth, external]), "truth")

    assert chosen == {
        100: "largest gain over the ranking order",
        101: "gain in the upper quarter",
        103: "median gain",
        105: "largest loss to the ranking order",
        104: "generator furthest below the beam search",
        106: "gain most overrated by the external evaluator",
    }


def test_no_request_is_chosen_for_what_did_not_happen() -> None:
    alike = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]  # nothing lost, nothing below the beam, nothing overrated

    chosen = choose_requests(pd.concat([judged("external", alike), judged("mining", alike)]), "external")

    assert sorted(chosen.values()) == [
        "gain in the upper quarter",
        "largest gain over the ranking order",
        "median gain",
    ]


def test_no_request_is_chosen_twice() -> None:
    assert list(choose_requests(judged("truth", [0.5]), "truth")) == [100]
    assert choose_requests(judged("truth", [float("nan")]), "truth") == {}


def test_the_truth_judges_where_it_is_known() -> None:
    assert value_judge(pd.Series(["external", "mining", "truth"])) == "truth"
    assert value_judge(pd.Series(["external", "mining"])) == "external"


@pytest.fixture
def lists() -> pd.DataFrame:
    """Candidates 10, 11, 12; items 12 and 10 were shown and item 10 clicked. Request 7 was not evaluated."""
    row = {
        "user_id": "ann",
        "candidate_item_ids": np.array([10, 11, 12]),
        "exposed_indices": np.array([2, 0]),
        "clicks": np.array([0, 1]),
    }
    return pd.DataFrame([{"request_id": 7, **row}, {"request_id": 100, **row}])


@pytest.fixture
def items() -> pd.DataFrame:
    return pd.DataFrame(
        {"item_id": [12, 11, 10], "title": ["Last", "Middle", "First"], "slot": ["a", "b", "c"]}
    )


def evaluated() -> dict[str, torch.Tensor]:
    found = {subject: torch.tensor([[2, 0]]) for subject in SUBJECTS}
    return {"request_id": torch.tensor([100]), **found, "generator": torch.tensor([[1, 2]])}


def test_lists_are_laid_out_slot_by_slot(lists: pd.DataFrame, items: pd.DataFrame) -> None:
    examples = pick_examples(lists, items, evaluated(), judged("truth", [0.6]))

    assert list(examples.columns) == [*FIXED_COLUMNS, "title", "slot_of_item"]
    assert len(examples) == 2 * len(SUBJECTS)
    generator = examples[examples["subject"] == "generator"].to_dict("list")
    assert generator["item_id"] == [11, 12]
    assert generator["title"] == ["Middle", "Last"]
    assert generator["slot_of_item"] == ["b", "a"]
    assert generator["slot"] == [1, 2]
    assert generator["slot_value"] == pytest.approx([1.2, 0.4])
    assert generator["list_value"] == pytest.approx([1.6, 1.6])
    assert generator["user_id"] == ["ann", "ann"]
    assert generator["judge"] == ["truth", "truth"]
    np.testing.assert_array_equal(generator["click"], [np.nan, 0.0])
    assert examples.loc[examples["subject"] == "exposed", "click"].tolist() == [0.0, 1.0]


def test_a_shorter_list_has_fewer_rows(lists: pd.DataFrame, items: pd.DataFrame) -> None:
    short = evaluated() | {"exposed": torch.tensor([[2, -1]])}

    examples = pick_examples(lists, items, short, judged("truth", [0.6]))

    assert examples.loc[examples["subject"] == "exposed", "item_id"].tolist() == [12]


def test_text_item_ids_find_their_items(lists: pd.DataFrame) -> None:
    named = lists.assign(candidate_item_ids=[np.array(["x", "y", "z"])] * 2)
    items = pd.DataFrame({"item_id": ["y", "z"], "title": ["Why", "Zed"]})

    examples = pick_examples(named, items, evaluated(), judged("truth", [0.6]))

    assert examples.loc[examples["subject"] == "generator", "title"].tolist() == ["Why", "Zed"]
    assert examples.loc[examples["item_id"] == "x", "title"].isna().all()


def test_lists_of_another_run_are_named(lists: pd.DataFrame, items: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="the lists lack request 100"):
        pick_examples(lists.iloc[:1], items, evaluated(), judged("truth", [0.6]))
    other = evaluated() | {"request_id": torch.tensor([7])}
    with pytest.raises(ValueError, match="the evaluated lists lack request 100"):
        pick_examples(lists, items, other, judged("truth", [0.6]))
