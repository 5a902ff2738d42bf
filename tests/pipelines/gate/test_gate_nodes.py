"""The gate on registered versions, with a real MLflow database."""

import json
import math
from dataclasses import replace

import mlflow
import numpy as np
import pytest
import torch

from degre_pipeline.pipelines.gate.pipeline import create_pipeline
from degre_pipeline.pipelines.list_building.nodes import ListConfig, encode_requests, fit_features
from degre_pipeline.promotion import ledger
from degre_pipeline.promotion.aliases import positions
from degre_pipeline.promotion.champion import promote
from degre_pipeline.reranker.batching import Requests
from degre_pipeline.reranker.models.builders import restore_generator
from degre_pipeline.simulation.click_world import ClickTruth
from small_shop import small_generator

NAME = "reranker"


def other_generator(shop, seed=1, **changed):
    """The same shop after a training that ended in other weights."""
    return replace(shop, generator=small_generator(shop.feature_space, seed=seed), **changed)


def with_fields(shop, fields):
    """The shop as another configuration encodes it, with a generator for that."""
    tables = (shop.requests, shop.scored_candidates, shop.users, shop.items)
    space = fit_features(shop.lists, *tables, fields)
    tensors = encode_requests(shop.lists, *tables, space, ListConfig(list_length=4))
    return replace(
        shop, feature_space=space, request_tensors=tensors, generator=small_generator(space, seed=5)
    )


def served_by(registered):
    """Makes a registered version the champion, whatever the gate says of it."""
    return promote(
        mlflow.MlflowClient(), NAME, registered["version"], who="ann", why="to begin with", force=True
    )


def found(decision, rule):
    return [finding for finding in decision["findings"] if finding["rule"] == rule]


def test_the_first_version_is_promoted_by_floors_and_tagged(gate, shop, registry):
    registered = gate.register(shop)
    result = gate.pass_through(shop, registered)
    assert result["outcome"] == "promote"
    assert [(move["alias"], move["from_version"], move["to_version"]) for move in result["moves"]] == [
        ("champion", None, 1)
    ]
    assert positions(registry, NAME) == {"challenger": 1, "champion": 1}
    tags = registry.get_model_version(NAME, "1").tags
    assert {name: tags[name] for name in ("gate_outcome", "gate_first", "gate_champion")} == {
        "gate_outcome": "promote",
        "gate_first": "true",
        "gate_champion": "none",
    }
    assert (tags["slice_first_day"], tags["slice_last_day"]) == ("2026-01-31", "2026-01-31")
    assert tags["slice_sha256"] == gate.slice_of(shop)["sha256"]


def test_a_promotion_keeps_its_report_in_the_ledger(gate, shop, registry, tmp_path):
    gate.pass_through(shop, gate.register(shop))
    (entry,) = ledger.entries(registry, NAME, "champion")
    assert entry.move.who.startswith("gate, run by ")
    assert "all 19 floors hold" in entry.move.why
    assert not entry.move.flagged
    files = {file.path for file in registry.list_artifacts(entry.run_id, "gate")}
    assert files == {"gate/gate_report.html", "gate/gate_decision.json"}
    copy = registry.download_artifacts(entry.run_id, "gate/gate_decision.json", str(tmp_path))
    with open(copy, encoding="utf-8") as file:
        assert json.load(file)["decided_by"]["rule"] == "first"


def test_both_versions_are_valued_by_the_judges_on_the_same_requests(gate, shop, shop_truth):
    served_by(gate.register(shop))
    better = other_generator(shop)
    judgements, facts = gate.judge(better, gate.register(better))
    ids = gate.slice_of(shop)["request_ids"]
    requests = Requests.from_tensors(shop.request_tensors).with_ids(torch.tensor(ids))
    known = ClickTruth.from_tensors(shop_truth).select(ids)
    by_truth = judgements[judgements["judge"] == "truth"].set_index("request_id").loc[ids]
    for version, some in (("champion", shop), ("challenger", better)):
        lists, _ = restore_generator(some.generator).greedy_decode(
            requests.static, requests.candidates, requests.mask
        )
        wanted = known.utility(lists[:, None].numpy())[:, 0]
        np.testing.assert_allclose(by_truth[version], wanted, atol=1e-6)
    assert set(judgements["judge"]) == {"truth", "external"}
    assert set(judgements["users"]) == {"new", "old"}
    assert (facts["challenger"]["version"], facts["champion"]["version"]) == (2, 1)
    assert (facts["differing_lists"], facts["outdated_lists"], facts["challenger"]["invalid_lists"]) == (
        0,
        0,
        0,
    )
    assert facts["challenger"]["training_last_day"] == "2026-01-30"
    assert facts["champion"]["latency_ms"] > 0
    assert facts["champion"]["size_bytes"] > 1000


def test_a_loss_is_refused_and_the_champion_stays(gate, shop, registry, shop_truth):
    first, second = shop, other_generator(shop)
    worth = {}
    for some in (first, second):
        judgements, _ = gate.judge(some, gate.register(some))
        worth[id(some)] = judgements.loc[judgements["judge"] == "truth", "challenger"].mean()
    better, worse = sorted((first, second), key=lambda some: worth[id(some)], reverse=True)
    served_by(gate.register(better))
    champion = positions(registry, NAME)["champion"]
    result = gate.pass_through(worse, gate.register(worse))
    assert worth[id(better)] - worth[id(worse)] > 0.03 * worth[id(better)]
    assert result == {"outcome": "refuse", "moves": []}
    assert positions(registry, NAME)["champion"] == champion


def test_the_same_lists_are_not_inferior(gate, shop):
    served_by(gate.register(shop))
    again = gate.register(shop, run_date="2026-02-01")
    decision = gate.decide(shop, again)
    assert (decision["outcome"], decision["first"]) == ("promote", False)
    assert {finding["measured"] for finding in found(decision, "non_inferiority")} == {0.0}
    assert {finding["verdict"] for finding in found(decision, "superiority")} == {"skipped"}


def test_a_champion_of_another_feature_space_ranks_with_its_own(gate, shop):
    old = with_fields(
        shop,
        [
            {"name": "client", "kind": "categorical", "group": "context"},
            {"name": "price_level", "kind": "categorical", "group": "item"},
            {"name": "ranking_score", "kind": "numeric", "group": "score", "size": 4},
        ],
    )
    assert old.generator.config["sizes"] != shop.generator.config["sizes"]
    served_by(gate.register(old))
    decision = gate.decide(shop, gate.register(shop))
    assert decision["champion"]["problem"] == ""
    assert all(math.isfinite(finding["measured"]) for finding in found(decision, "non_inferiority"))
    judgements, _ = gate.judge(shop, {"name": NAME, "version": 2})
    ids = gate.slice_of(shop)["request_ids"]
    requests = Requests.from_tensors(old.request_tensors).with_ids(torch.tensor(ids))
    lists, _ = restore_generator(old.generator).greedy_decode(
        requests.static, requests.candidates, requests.mask
    )
    wanted = ClickTruth.from_tensors(gate.click_truth).select(ids).utility(lists[:, None].numpy())[:, 0]
    by_truth = judgements[judgements["judge"] == "truth"].set_index("request_id").loc[ids]
    np.testing.assert_allclose(by_truth["champion"], wanted, atol=1e-6)


def test_a_champion_that_needs_what_the_tables_lack_leaves_it_to_a_person(gate, shop):
    fields = [
        {"name": "category", "kind": "categorical", "group": "item"},
        {"name": "price_level", "kind": "categorical", "group": "item"},
        {"name": "ranking_score", "kind": "numeric", "group": "score", "size": 4},
    ]
    served_by(gate.register(with_fields(shop, fields)))
    poorer = replace(shop, items=shop.items.drop(columns="price_level"))
    decision = gate.decide(poorer, gate.register(shop))
    assert (decision["outcome"], decision["decided_by"]["rule"]) == ("hold", "comparable")
    assert "price_level" in decision["decided_by"]["reason"]
    assert found(decision, "non_inferiority") == []


def test_a_champion_that_has_seen_the_slice_is_not_compared(gate, shop, registry):
    registered = gate.register(shop)
    served_by(registered)
    registry.set_model_version_tag(NAME, "1", "training_last_day", "2026-01-31")
    decision = gate.decide(other_generator(shop), gate.register(other_generator(shop)))
    assert (decision["outcome"], decision["decided_by"]["rule"]) == ("refuse", "time_forward")
    assert decision["decided_by"]["about"] == "champion, version 1"


def test_a_version_that_passed_stays_one_when_its_day_is_run_again_later(gate, shop, registry):
    gate.pass_through(shop, gate.register(shop))
    gate.pass_through(shop, gate.register(shop, run_date="2026-02-01"))
    registry.set_model_version_tag(NAME, "2", "training_last_day", "2026-01-31")
    result = gate.pass_through(shop, gate.register(shop))
    assert result == {"outcome": "refuse", "moves": []}
    assert registry.get_model_version(NAME, "1").tags["gate_outcome"] == "promote"
    assert positions(registry, NAME)["champion"] == 2


def test_a_version_that_is_not_the_trained_generator_is_refused(gate, shop):
    registered = gate.register(shop)
    decision = gate.decide(other_generator(shop), registered)
    assert decision["outcome"] == "refuse"
    assert [finding["verdict"] for finding in found(decision, "parity")] == ["refuse"]


def test_figures_of_another_generator_are_refused(gate, shop):
    others = gate.evaluated_lists(other_generator(shop))
    decision = gate.decide(shop, gate.register(shop), evaluated_lists=others)
    assert (decision["outcome"], decision["decided_by"]["rule"]) == ("refuse", "evaluation")


@pytest.mark.parametrize(
    ("promotes", "champions"), [("always", [1, 2]), ("first", [1, 1]), ("never", [None, None])]
)
def test_the_settings_say_when_a_passing_version_promotes_itself(gate, shop, registry, promotes, champions):
    seen = []
    for day in ("2026-01-31", "2026-02-01"):
        gate.pass_through(shop, gate.register(shop, run_date=day), promotes=promotes)
        seen.append(positions(registry, NAME).get("champion"))
    assert seen == champions


def test_the_champion_is_compared_with_the_one_before_when_its_run_is_repeated(gate, shop):
    gate.pass_through(shop, gate.register(shop))
    second = gate.register(shop, run_date="2026-02-01")
    gate.pass_through(shop, second)
    repeated = gate.decide(shop, gate.register(shop, run_date="2026-02-01"))
    assert (repeated["challenger"]["version"], repeated["champion"]["version"]) == (2, 1)
    assert not repeated["first"]


def test_a_champion_set_by_hand_is_noticed_by_the_gate(gate, shop, registry):
    registered = gate.register(shop)
    registry.set_registered_model_alias(NAME, "champion", "1")
    result = gate.pass_through(shop, registered)
    assert [(move["who"], move["flagged"]) for move in result["moves"]] == [("unknown", False)]


def test_pipeline_meets_others_in_the_catalog():
    pipeline = create_pipeline()
    assert pipeline.outputs() == {"gate_moves"}
    assert {"registered_model", "metrics", "external_evaluator", "click_truth"} <= pipeline.inputs()
    assert "mining_evaluator" not in pipeline.inputs()
