"""What the gate's nodes find of registered versions and decide, with a real MLflow database."""

import math
from dataclasses import replace

import mlflow
import numpy as np
import pytest
import torch

from degre_pipeline.lists.list_config import ListConfig
from degre_pipeline.pipelines.gate.pipeline import create_pipeline
from degre_pipeline.pipelines.list_building.nodes import encode_requests, fit_features
from degre_pipeline.release import registration
from degre_pipeline.release.aliases import positions
from degre_pipeline.reranker.models.stored_models import restore_generator
from degre_pipeline.serving.model import packaging
from degre_pipeline.serving.model.reranking_model import build_reranker
from degre_pipeline.simulation.click_world import ClickTruth
from small_shop import small_generator

pytestmark = pytest.mark.usefixtures("programs_made_once")
NAME = "reranker"
OTHER_FIELDS = [
    {"name": "client", "kind": "categorical", "group": "context"},
    {"name": "price_level", "kind": "categorical", "group": "item"},
    {"name": "ranking_score", "kind": "numeric", "group": "score", "size": 4},
]


def other_generator(shop, seed=1, **changed):
    """The same shop after a training that ended in other weights."""
    return replace(shop, generator=small_generator(shop.feature_space, seed=seed), **changed)


def with_other_fields(shop):
    """The shop as another configuration encodes it, with a generator for that."""
    space = fit_features(shop.lists, shop.feature_tables, OTHER_FIELDS)
    tensors = encode_requests(shop.lists, shop.feature_tables, space, ListConfig(list_length=4))
    return replace(shop, feature_space=space, encoded=tensors, generator=small_generator(space, seed=5))


def test_both_versions_are_valued_by_the_judges_on_the_same_requests(gate, shop, shop_truth):
    gate.serve(gate.register(shop))
    better = other_generator(shop)
    judgements, facts = gate.judge(better, gate.register(better))
    ids = gate.slice_of(shop)["request_ids"]
    requests = shop.encoded.with_ids(torch.tensor(ids))
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
    gate.serve(gate.register(better))
    champion = positions(registry, NAME)["champion"]
    result = gate.pass_through(worse, gate.register(worse))
    assert worth[id(better)] - worth[id(worse)] > 0.03 * worth[id(better)]
    assert result == {"outcome": "refuse", "moves": []}
    assert positions(registry, NAME)["champion"] == champion


def test_the_same_lists_are_not_inferior(gate, shop):
    gate.serve(gate.register(shop))
    again = gate.register(shop, run_date="2026-02-01")
    decision = gate.decide(shop, again)
    assert (decision["outcome"], decision["first"]) == ("promote", False)
    assert {finding["measured"] for finding in gate.found(decision, "non_inferiority")} == {0.0}
    assert {finding["verdict"] for finding in gate.found(decision, "superiority")} == {"skipped"}


def test_a_champion_of_another_feature_space_ranks_with_its_own(gate, shop):
    old = with_other_fields(shop)
    assert old.generator.config["sizes"] != shop.generator.config["sizes"]
    gate.serve(gate.register(old))
    registered = gate.register(shop)
    judgements, facts = gate.judge(shop, registered)
    decision = gate.decide_on(gate.slice_of(shop), judgements, facts, registered)
    assert decision["champion"]["problem"] == ""
    assert all(math.isfinite(finding["measured"]) for finding in gate.found(decision, "non_inferiority"))
    ids = gate.slice_of(shop)["request_ids"]
    requests = old.encoded.with_ids(torch.tensor(ids))
    lists, _ = restore_generator(old.generator).greedy_decode(
        requests.static, requests.candidates, requests.mask
    )
    wanted = ClickTruth.from_tensors(gate.click_truth).select(ids).utility(lists[:, None].numpy())[:, 0]
    by_truth = judgements[judgements["judge"] == "truth"].set_index("request_id").loc[ids]
    np.testing.assert_allclose(by_truth["champion"], wanted, atol=1e-6)


def test_a_champion_that_needs_what_the_tables_lack_leaves_it_to_a_person(gate, shop):
    gate.serve(gate.register(with_other_fields(shop)))
    items = shop.feature_tables.items.drop(columns="price_level")
    poorer = replace(shop, feature_tables=replace(shop.feature_tables, items=items))
    decision = gate.decide(poorer, gate.register(shop))
    assert (decision["outcome"], decision["decided_by"]["rule"]) == ("hold", "comparable")
    assert "price_level" in decision["decided_by"]["reason"]
    assert gate.found(decision, "non_inferiority") == []


def test_a_champion_that_has_seen_the_slice_is_not_compared(gate, shop, registry):
    registered = gate.register(shop)
    gate.serve(registered)
    registry.set_model_version_tag(NAME, "1", "training_last_day", "2026-01-31")
    decision = gate.decide(other_generator(shop), gate.register(other_generator(shop)))
    assert (decision["outcome"], decision["decided_by"]["rule"]) == ("refuse", "time_forward")
    assert decision["decided_by"]["about"] == "champion, version 1"


def test_a_version_that_is_not_the_trained_generator_is_refused(gate, shop):
    registered = gate.register(shop)
    decision = gate.decide(other_generator(shop), registered)
    assert decision["outcome"] == "refuse"
    assert [finding["verdict"] for finding in gate.found(decision, "parity")] == ["refuse"] * 2


def test_figures_of_another_generator_are_refused(gate, shop):
    others = gate.evaluated_lists(other_generator(shop))
    decision = gate.decide(shop, gate.register(shop), evaluated_lists=others)
    assert (decision["outcome"], decision["decided_by"]["rule"]) == ("refuse", "evaluation")


def test_no_code_of_a_version_is_run(gate, shop, registry, tmp_path):
    """A model whose script leaves a trace, as whoever may move an alias could register it."""
    script, trace = tmp_path / "model.py", tmp_path / "ran"
    script.write_text(
        "from pathlib import Path\n"
        "from mlflow.models import set_model\n"
        "from mlflow.pyfunc.model import PythonModel\n"
        "class Model(PythonModel):\n"
        "    def load_context(self, context):\n"
        f"        Path({str(trace)!r}).touch()\n"
        "    def predict(self, context, model_input: list[str], params=None) -> list[str]:\n"
        "        return model_input\n"
        "set_model(Model())\n"
    )
    with mlflow.start_run():
        logged = mlflow.pyfunc.log_model(name="model", python_model=str(script))  # runs it here
    registered = gate.register(shop)
    trace.unlink(missing_ok=True)
    version = mlflow.register_model(logged.model_uri, NAME).version
    registry.set_registered_model_alias(NAME, "champion", version)
    decision = gate.decide(shop, registered)
    assert not trace.exists()
    assert decision["champion"]["problem"].startswith("it could not rank the slice: ")
    assert decision["outcome"] == "refuse"


def test_what_is_judged_is_the_program_that_serves(gate, shop, registry, monkeypatch):
    """The weights and the code of one generator with the program of another, whose digests are right."""
    swapped = other_generator(shop, seed=7).generator
    export = packaging.export_program
    monkeypatch.setattr(packaging, "export_program", lambda _, most: export(swapped, most))
    monkeypatch.setattr(
        packaging, "build_reranker", lambda _, space, *own: build_reranker(swapped, space, *own)
    )
    with pytest.raises(ValueError, match=r"the served model ranks candidates .*; allowed: "):
        gate.register(shop)
    assert registry.search_registered_models() == []
    monkeypatch.setattr(registration, "check_program", lambda *_: None)
    decision = gate.decide(shop, gate.register(shop))
    assert decision["outcome"] == "refuse"
    parity = gate.found(decision, "parity")
    assert [finding["verdict"] for finding in parity] == ["refuse", "refuse"]
    assert parity[0]["measured"] > 40


def test_small_losses_do_not_add_up_over_champions(gate, shop, registry):
    """Version 1 is the measure for as long as no champion is better, whoever serves by now."""
    for day in ("2026-01-29", "2026-01-30"):
        gate.pass_through(shop, gate.register(shop, run_date=day))
    worse = other_generator(shop)
    decision = gate.decide(worse, gate.register(worse, run_date="2026-01-31"))
    assert (decision["champion"]["version"], decision["reference"]["version"]) == (2, 1)
    assert {finding["verdict"] for finding in gate.found(decision, "reference")} <= {"refuse", "hold", "pass"}
    assert all(
        "version 1, the best champion of 90 days" in one["about"] for one in gate.found(decision, "reference")
    )
    judged = {
        rule: [one["measured"] for one in gate.found(decision, rule)] for rule in ("reference", "superiority")
    }
    assert judged["reference"] == judged["superiority"]
    assert decision["superior_to"] in ([], [2, 1])


def test_pipeline_meets_others_in_the_catalog():
    pipeline = create_pipeline()
    assert pipeline.outputs() == {"gate_moves"}
    assert {"registered_model", "metrics", "external_evaluator", "click_truth"} <= pipeline.inputs()
    assert "mining_evaluator" not in pipeline.inputs()
