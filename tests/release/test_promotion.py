import shutil

import mlflow
import pytest

from degre_pipeline.release import ledger
from degre_pipeline.release.aliases import notice, positions
from degre_pipeline.release.promotion import promote, roll_back
from degre_pipeline.release.served_before import opponent_of
from degre_pipeline.release.versions import origin_of

MODEL = "reranker"
ANN = {"who": "ann", "why": "better lists"}


def test_the_challenger_becomes_the_champion_and_the_old_one_is_kept(versions):
    promote(versions, MODEL, **ANN)
    assert positions(versions, MODEL) == {"challenger": 1, "champion": 1}
    moved = promote(versions, MODEL, 2, **ANN)
    assert positions(versions, MODEL) == {"challenger": 1, "champion": 2, "previous_champion": 1}
    assert [(entry.move.alias, entry.move.from_version, entry.move.to_version) for entry in moved] == [
        ("previous_champion", None, 1),
        ("champion", 1, 2),
    ]


def test_the_way_back_and_forth(versions):
    promote(versions, MODEL, 1, **ANN)
    promote(versions, MODEL, 2, **ANN)
    roll_back(versions, MODEL, **ANN)
    assert (positions(versions, MODEL)["champion"], positions(versions, MODEL)["previous_champion"]) == (1, 2)
    roll_back(versions, MODEL, **ANN)
    assert (positions(versions, MODEL)["champion"], positions(versions, MODEL)["previous_champion"]) == (2, 1)


def test_a_promotion_is_written_down_with_the_gates_report(versions, tmp_path):
    promote(versions, MODEL, 1, **ANN)
    (entry,) = ledger.entries(versions, MODEL, "champion")
    assert vars(entry.move) == {
        "model": MODEL,
        "alias": "champion",
        "from_version": None,
        "to_version": 1,
        "from_origin": None,
        "to_origin": origin_of(versions.get_model_version(MODEL, "1")),
        "by": "person",
        "who": "ann",
        "why": "better lists",
        "gate_outcome": "promote",
        "flagged": False,
    }
    copy = versions.download_artifacts(entry.run_id, "gate/gate_report.html", tmp_path)
    with open(copy, encoding="utf-8") as file:
        assert file.read() == "report: promote"


def test_what_is_the_champion_already_moves_nothing(versions):
    promote(versions, MODEL, 1, **ANN)
    before = len(ledger.entries(versions, MODEL))
    assert promote(versions, MODEL, 1, **ANN) == []
    assert len(ledger.entries(versions, MODEL)) == before


def test_what_was_held_may_be_promoted_by_a_person_and_is_flagged(versions):
    (entry,) = promote(versions, MODEL, 2, **ANN)
    assert (entry.move.gate_outcome, entry.move.flagged) == ("hold", True)


@pytest.mark.parametrize(("version", "outcome"), [(3, "refuse"), (4, "not judged")])
def test_what_the_gate_did_not_let_through_needs_force_and_is_flagged(versions, version, outcome):
    with pytest.raises(ValueError, match=f"outcome for version {version} is '{outcome}'; allowed: "):
        promote(versions, MODEL, version, **ANN)
    assert "champion" not in positions(versions, MODEL)
    (entry,) = promote(versions, MODEL, version, **ANN, force=True)
    assert positions(versions, MODEL)["champion"] == version
    assert (entry.move.gate_outcome, entry.move.flagged) == (outcome, True)


def test_a_version_that_is_not_there_is_refused(versions):
    with pytest.raises(ValueError, match="version 9 of 'reranker' is not in the registry"):
        promote(versions, MODEL, 9, **ANN)
    versions.delete_registered_model_alias(MODEL, "challenger")
    with pytest.raises(ValueError, match="version of the challenger of 'reranker' is not in the registry"):
        promote(versions, MODEL, **ANN)


def test_there_is_no_way_back_without_a_previous_champion(versions):
    promote(versions, MODEL, 1, **ANN)
    with pytest.raises(ValueError, match="no version with alias 'previous_champion'"):
        roll_back(versions, MODEL, **ANN)


def test_the_way_back_is_lost_with_its_version(versions):
    promote(versions, MODEL, 1, **ANN)
    promote(versions, MODEL, 2, **ANN)
    versions.delete_model_version(MODEL, "1")
    with pytest.raises(ValueError, match="no version with alias 'previous_champion'"):
        roll_back(versions, MODEL, **ANN)


def test_the_way_back_exists_after_a_promotion_by_hand(versions):
    promote(versions, MODEL, 1, **ANN)
    versions.set_registered_model_alias(MODEL, "champion", "2")
    notice(versions, MODEL)
    roll_back(versions, MODEL, **ANN)
    assert (positions(versions, MODEL)["champion"], positions(versions, MODEL)["previous_champion"]) == (1, 2)


def test_a_version_is_compared_with_the_champion_and_the_champion_with_the_one_before(versions):
    assert opponent_of(versions, MODEL, 2) is None
    promote(versions, MODEL, 1, **ANN)
    assert (opponent_of(versions, MODEL, 2), opponent_of(versions, MODEL, 1)) == (1, None)
    promote(versions, MODEL, 2, **ANN)
    assert (opponent_of(versions, MODEL, 3), opponent_of(versions, MODEL, 2)) == (2, 1)


@pytest.mark.parametrize("removed", ["alias", "version"])
def test_without_a_champion_the_last_one_of_the_ledger_is_the_measure(versions, removed):
    promote(versions, MODEL, 1, **ANN)
    promote(versions, MODEL, 2, **ANN)
    if removed == "alias":
        versions.delete_registered_model_alias(MODEL, "champion")
    else:
        versions.delete_model_version(MODEL, "2")
    notice(versions, MODEL)
    assert opponent_of(versions, MODEL, 3) == (2 if removed == "alias" else 1)
    assert opponent_of(versions, MODEL, 2) == 1


def test_the_champion_that_is_its_own_previous_one_is_compared_with_the_last_other_one(versions):
    promote(versions, MODEL, 1, **ANN)
    promote(versions, MODEL, 2, **ANN)
    versions.set_registered_model_alias(MODEL, "previous_champion", "2")
    assert opponent_of(versions, MODEL, 2) == 1


def test_the_way_back_does_not_depend_on_a_lost_report(versions, tmp_path):
    promote(versions, MODEL, 1, **ANN)
    promote(versions, MODEL, 2, **ANN)
    shutil.rmtree(tmp_path / "artifacts")
    (_, champion) = roll_back(versions, MODEL, **ANN)
    assert positions(versions, MODEL)["champion"] == 1
    run = versions.get_run(champion.run_id)
    assert (run.data.tags["gate_report"], run.info.status) == ("missing", "FINISHED")


def test_an_interrupted_promotion_keeps_the_way_back(versions):
    """Killed after the first of its two moves, which makes the champion its own previous one."""
    promote(versions, MODEL, 1, **ANN)
    promote(versions, MODEL, 2, **ANN)
    versions.set_registered_model_alias(MODEL, "previous_champion", "2")
    notice(versions, MODEL)
    roll_back(versions, MODEL, **ANN)
    assert positions(versions, MODEL)["champion"] == 1
    assert positions(versions, MODEL)["previous_champion"] == 2


def test_where_even_the_ledger_knows_no_other_champion_there_is_no_way_back(versions):
    promote(versions, MODEL, 1, **ANN)
    versions.set_registered_model_alias(MODEL, "previous_champion", "1")
    with pytest.raises(ValueError, match="no version with alias 'previous_champion'"):
        roll_back(versions, MODEL, **ANN)


def test_an_alias_that_somebody_else_moves_at_the_same_time_is_told(versions, monkeypatch):
    """A machine that shares the server moves the alias right after this one did."""
    ours = type(versions).set_registered_model_alias

    def moved_again(client, model, alias, version):
        ours(client, model, alias, version)
        ours(client, model, alias, "4")

    monkeypatch.setattr(type(versions), "set_registered_model_alias", moved_again)
    with pytest.raises(
        ValueError, match=r"champion of 'reranker' is 4, moved by somebody else .*; allowed: 1"
    ):
        promote(versions, MODEL, 1, **ANN)


def test_an_alias_that_two_machines_set_at_once_is_set_again(versions, monkeypatch):
    ours, tries = type(versions).set_registered_model_alias, []

    def fails_once(client, model, alias, version):
        tries.append(alias)
        if len(tries) == 1:
            raise mlflow.MlflowException("UNIQUE constraint failed: registered_model_aliases.name")
        ours(client, model, alias, version)

    monkeypatch.setattr(type(versions), "set_registered_model_alias", fails_once)
    promote(versions, MODEL, 1, **ANN)
    assert (positions(versions, MODEL)["champion"], tries) == (1, ["champion", "champion"])
