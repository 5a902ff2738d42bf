"""What the gate's nodes do to aliases, versions and the ledger, with a real MLflow database."""

import json

import pytest

from degre_pipeline.pipelines.gate.nodes import record_decision, write_gate_report
from degre_pipeline.release import ledger
from degre_pipeline.release.aliases import positions
from degre_pipeline.release.promotion import promote, roll_back
from small_run import RUN

pytestmark = pytest.mark.usefixtures("programs_made_once")
NAME = "reranker"


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
    assert "all 20 floors hold" in entry.move.why
    assert not entry.move.flagged
    files = {file.path for file in registry.list_artifacts(entry.run_id, "gate")}
    assert files == {"gate/gate_report.html", "gate/gate_decision.json"}
    copy = registry.download_artifacts(entry.run_id, "gate/gate_decision.json", str(tmp_path))
    with open(copy, encoding="utf-8") as file:
        assert json.load(file)["decided_by"]["rule"] == "first"


def test_a_version_that_passed_stays_one_when_its_day_is_run_again_later(gate, shop, registry):
    gate.pass_through(shop, gate.register(shop))
    gate.pass_through(shop, gate.register(shop, run_date="2026-02-01"))
    registry.set_model_version_tag(NAME, "2", "training_last_day", "2026-01-31")
    result = gate.pass_through(shop, gate.register(shop))
    assert result == {"outcome": "refuse", "moves": []}
    assert registry.get_model_version(NAME, "1").tags["gate_outcome"] == "promote"
    assert positions(registry, NAME)["champion"] == 2


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


def test_what_a_person_took_down_is_not_put_back_when_the_gate_is_repeated(gate, shop, registry):
    gate.serve(gate.register(shop))
    second = gate.register(shop, run_date="2026-02-01")
    decision = gate.decide(shop, second)
    gate.record(decision, second)
    roll_back(registry, NAME, who="ann", why="complaints")
    late = gate.record(decision, second)  # a retry of the last node
    assert late == {"outcome": "hold", "moves": []}
    repeated = gate.decide(shop, second)  # a retry of the whole gate
    assert (repeated["outcome"], repeated["decided_by"]["rule"]) == ("hold", "registry")
    assert "version 2 was taken down by ann: complaints" in repeated["decided_by"]["reason"]
    assert gate.record(repeated, second)["outcome"] == "hold"
    assert positions(registry, NAME)["champion"] == 1


def test_a_champion_that_came_after_the_comparison_stays(gate, shop, registry, tmp_path):
    gate.serve(gate.register(shop))
    second, third = (gate.register(shop, run_date=f"2026-02-0{day}") for day in (1, 2))
    decision = gate.decide(shop, second)
    promote(registry, NAME, third["version"], who="ann", why="hot fix", force=True)
    assert gate.record(decision, second) == {"outcome": "hold", "moves": []}
    assert positions(registry, NAME)["champion"] == 3
    tags = registry.get_model_version(NAME, "2").tags
    assert tags["gate_outcome"] == "hold"
    assert "the champion is version 3 now; the comparison was with version 1" in tags["gate_decided_by"]
    copy = registry.download_artifacts(second["run_id"], "gate/gate_report.html", str(tmp_path))
    with open(copy, encoding="ascii") as file:
        assert "Hold for a person" in file.read()


def test_a_decision_of_another_version_is_refused(gate, shop, registry):
    first = gate.register(shop)
    decision = gate.decide(shop, first)
    gate.record(decision, first)
    unjudged = gate.register(shop, run_date="2026-02-01")
    with pytest.raises(ValueError, match=r"registered of the gate's files is .*'version': 1.*; allowed: "):
        gate.record(decision, unjudged)
    assert positions(registry, NAME)["champion"] == 1
    assert "gate_outcome" not in registry.get_model_version(NAME, "2").tags


def test_a_version_made_anew_under_the_same_number_was_not_judged(gate, shop, registry):
    registered = gate.register(shop)
    decision = gate.decide(shop, registered)
    registry.delete_registered_model(NAME)
    registry.create_registered_model(NAME)
    registry.create_model_version(NAME, "file:///nowhere", registered["run_id"])
    with pytest.raises(ValueError, match=r"version 1 of reranker is made of .*; allowed: .*, as judged"):
        gate.record(decision, registered)
    with pytest.raises(
        ValueError, match=r"version 1 of reranker is of run .*; allowed: another, as registered"
    ):
        gate.judge(shop, {**registered, "run_id": "another"})


def test_where_the_alias_was_taken_away_the_last_champion_is_the_measure(gate, shop, registry):
    gate.serve(gate.register(shop))
    registry.delete_registered_model_alias(NAME, "champion")
    second = gate.register(shop, run_date="2026-02-01")
    decision = gate.decide(shop, second)
    assert (decision["outcome"], decision["first"], decision["champion"]["version"]) == ("hold", False, 1)
    assert "no version is the champion, though version 1 was" in decision["decided_by"]["reason"]
    assert gate.found(decision, "non_inferiority")[0]["verdict"] == "pass"
    assert gate.record(decision, second, promotes="first") == {"outcome": "hold", "moves": []}


def test_files_of_two_gates_do_not_decide(gate, shop):
    registered, gate_slice = gate.register(shop), gate.slice_of(shop)
    judgements, facts = gate.judge(shop, registered)
    better = judgements.assign(challenger=judgements["challenger"] + 1)
    unlike = {**facts, "registered": {"version": 1, "run_id": "another"}}
    for mixed in (
        ({**gate_slice, "sha256": "0" * 64}, judgements, facts, registered),
        (gate_slice, better, facts, registered),
        (gate_slice, judgements, unlike, registered),
        (gate_slice, judgements, facts, {**registered, "run_id": "another"}),
    ):
        with pytest.raises(
            ValueError, match=r"of the gate's files is .*; allowed: .*kedro run --pipeline=gate"
        ):
            gate.decide_on(*mixed)
    decision = gate.decide_on(gate_slice, judgements, facts, registered)
    report = write_gate_report({**decision, "outcome": "hold"}, {"last_day": "2026-01-31"}, RUN)
    with pytest.raises(ValueError, match="the gate's report is of another decision"):
        record_decision(decision, report, registered, gate.settings, RUN)


def test_a_champion_set_by_hand_is_noticed_by_the_gate(gate, shop, registry):
    registered = gate.register(shop)
    registry.set_registered_model_alias(NAME, "champion", "1")
    result = gate.pass_through(shop, registered)
    assert [(move["who"], move["flagged"]) for move in result["moves"]] == [("unknown", False)]
