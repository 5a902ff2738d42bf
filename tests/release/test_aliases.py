import pytest

from degre_pipeline.release import ledger
from degre_pipeline.release.aliases import move, notice, positions
from degre_pipeline.release.promotion import promote

MODEL = "reranker"
ANN = {"who": "ann", "why": "better lists"}


@pytest.fixture
def known(versions):
    """The registry with version 1 as the champion, and a ledger that knows where every alias is."""
    notice(versions, MODEL)
    promote(versions, MODEL, 1, **ANN)
    return versions


def described(entries):
    return {(entry.move.alias, entry.move.from_version, entry.move.to_version) for entry in entries}


def test_nothing_is_noticed_where_nothing_moved(known):
    assert notice(known, MODEL) == []
    assert notice(known, "another model") == []


def test_a_move_made_elsewhere_is_noticed_once_recorded_and_flagged(known):
    known.set_registered_model_alias(MODEL, "champion", "3")
    found = notice(known, MODEL)
    assert described(found) == {("champion", 1, 3), ("previous_champion", None, 1)}
    champion = ledger.last(known, MODEL, "champion")
    assert (champion.who, champion.gate_outcome, champion.flagged) == ("unknown", "refuse", True)
    assert positions(known, MODEL)["previous_champion"] == 1
    assert notice(known, MODEL) == []


def test_a_version_that_passed_is_recorded_without_a_flag(known):
    known.set_registered_model_alias(MODEL, "champion", "2")
    notice(known, MODEL)
    known.set_registered_model_alias(MODEL, "champion", "1")
    notice(known, MODEL)
    newest = ledger.last(known, MODEL, "champion")
    assert (newest.from_version, newest.to_version, newest.flagged) == (2, 1, False)


def test_a_way_back_that_was_chosen_elsewhere_is_left_alone(known):
    known.set_registered_model_alias(MODEL, "champion", "3")
    known.set_registered_model_alias(MODEL, "previous_champion", "2")
    assert described(notice(known, MODEL)) == {("champion", 1, 3), ("previous_champion", None, 2)}
    assert positions(known, MODEL)["previous_champion"] == 2


def test_an_alias_that_was_taken_away_is_noticed(known):
    known.delete_registered_model_alias(MODEL, "champion")
    found = notice(known, MODEL)
    assert described(found) == {("champion", 1, None), ("previous_champion", None, 1)}
    assert not ledger.last(known, MODEL, "champion").flagged


def test_a_champion_whose_version_was_deleted_is_noticed_and_is_no_way_back(known):
    known.delete_model_version(MODEL, "1")
    assert described(notice(known, MODEL)) == {("champion", 1, None), ("challenger", 1, None)}
    assert positions(known, MODEL) == {}


def test_an_alias_that_is_there_already_does_not_move(known):
    assert move(known, MODEL, "champion", 1, by="person", **ANN) is None
    assert move(known, MODEL, "challenger", 2, by="person", **ANN).move.from_version == 1


def test_ledgers_of_two_models_are_apart(known):
    known.create_registered_model("other")
    known.create_model_version("other", "file:///nowhere")
    move(known, "other", "champion", 1, by="person", **ANN)
    assert [entry.move.model for entry in ledger.entries(known, "other")] == ["other"]
    assert {entry.move.model for entry in ledger.entries(known, MODEL)} == {MODEL}


def test_newest_moves_come_first_through_all_pages(known, monkeypatch):
    monkeypatch.setattr(ledger, "_PAGE", 2)
    for version in (2, 3, 4):
        move(known, MODEL, "challenger", version, by="person", **ANN)
    moves = [entry.move.to_version for entry in ledger.entries(known, MODEL, "challenger")]
    assert moves == [4, 3, 2, 1]


def test_the_ledger_keeps_its_reports_beside_the_models(known, tmp_path):
    experiment = known.get_experiment_by_name("degre_promotions")
    assert experiment.artifact_location == (tmp_path / "artifacts").as_uri()
