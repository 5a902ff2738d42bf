import json

import torch

from benchmarks import mining, shapes
from benchmarks.exact import whole_values
from benchmarks.publish_study import publish
from benchmarks.search_quality import study
from benchmarks.timing import Figure, in_turn, ratios
from degre_pipeline.reranker.search.beam import beam_search
from degre_pipeline.reranker.search.valuation import list_values


def test_the_reference_that_calls_the_evaluator_finds_the_values_of_the_search() -> None:
    evaluator, requests = shapes.evaluator(), shapes.made_up_requests(3)
    found = beam_search(evaluator, requests, beam_size=mining.BEAM)

    assert torch.allclose(mining.beam_search_by_calls(evaluator, requests), found.values, atol=1e-5)


def test_lists_encoded_whole_have_the_values_of_shared_prefixes() -> None:
    evaluator, request = shapes.evaluator(), shapes.made_up_requests(1)
    lists = torch.rand(1, 2000, shapes.CANDIDATES).argsort(-1)[..., : shapes.SLOTS]

    assert torch.allclose(
        whole_values(evaluator, request, lists), list_values(evaluator, request, lists)[0], atol=1e-5
    )


def test_rounds_take_turns_and_the_first_does_not_count() -> None:
    turns: list[str] = []
    seconds = in_turn({"a": lambda: turns.append("a"), "b": lambda: turns.append("b")}, 2)

    assert turns == ["a", "b"] * 3
    assert {name: len(found) for name, found in seconds.items()} == {"a": 2, "b": 2}
    assert ratios([2.0, 9.0], [1.0, 3.0], 10) == [20.0, 30.0]
    assert Figure([3.0, 1.0, 2.0], "s").summary() == {"median": 2.0, "low": 1.0, "high": 3.0, "unit": "s"}


def test_wider_searches_come_nearer_to_the_optimum(make_requests, make_evaluator) -> None:
    requests, evaluator = make_requests(6, n=12, slots=3), make_evaluator(3)
    rows = {(row["search"], row["beam_size"], row["top_k"]): row for row in study(evaluator, requests)}

    assert rows["beam", 128, 0]["regret"] < 1e-6
    assert rows["beam", 1, 0]["regret"] >= rows["beam", 128, 0]["regret"]
    assert rows["beam", 128, 0]["found_best"] >= rows["beam", 1, 0]["found_best"]
    assert rows["beam", 8, 0]["item_recall_of_uncut_beam"] == 1
    assert rows["beam", 1, 0]["expansions"] == 12 + 11 + 10


def test_a_study_is_published_beside_those_of_other_data(tmp_path):
    study, published = tmp_path / "study", tmp_path / "published"
    study.mkdir()
    published.mkdir()
    (published / "truth.json").write_text('[{"data": "ml1m", "value": 1}, {"data": "simulated", "value": 2}]')
    (study / "truth.json").write_text('[{"data": "simulated", "value": 3}]')
    for ending in (".md", ".svg"):
        (study / f"truth_simulated{ending}").write_text(ending)

    assert publish(study, published) == ["simulated"]
    rows = json.loads((published / "truth.json").read_text())
    assert rows == [{"data": "ml1m", "value": 1}, {"data": "simulated", "value": 3}]
    assert (published / "truth_simulated.svg").read_text() == ".svg"
