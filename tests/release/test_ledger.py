"""Whatever happens to the ledger, aliases move, the way back is found, and the rest of it is read."""

import sqlite3
from contextlib import closing

import mlflow
import pytest

from degre_pipeline.release import ledger
from degre_pipeline.release.aliases import CHAMPION, notice, positions
from degre_pipeline.release.ledger_experiment import EXPERIMENT
from degre_pipeline.release.promotion import promote, roll_back
from degre_pipeline.release.served_before import champions

MODEL = "reranker"
ANN = {"who": "ann", "why": "better lists"}


@pytest.fixture
def moved(versions):
    """Version 1 was the champion before version 2, and the ledger knows it."""
    notice(versions, MODEL)
    promote(versions, MODEL, 1, **ANN)
    promote(versions, MODEL, 2, **ANN)
    return versions


def experiment(client):
    return client.get_experiment_by_name(EXPERIMENT)


def newest_run(client):
    return ledger.entries(client, MODEL, CHAMPION)[0].run_id


def steps(client):
    """Returns the moves of the champion, oldest first."""
    moves = [entry.move for entry in ledger.entries(client, MODEL, CHAMPION)]
    return [(move.from_version, move.to_version) for move in reversed(moves)]


def test_a_ledger_that_was_deleted_is_restored_with_what_it_held(moved):
    moved.delete_experiment(experiment(moved).experiment_id)
    roll_back(moved, MODEL, **ANN)
    assert positions(moved, MODEL)[CHAMPION] == 1
    assert experiment(moved).lifecycle_stage == "active"
    assert steps(moved) == [(None, 1), (1, 2), (2, 1)]


@pytest.mark.parametrize(
    ("tag", "value"),
    [("who", None), ("why", None), ("to_version", "two"), ("place", "last"), ("flagged", None)],
)
def test_an_entry_that_was_edited_is_left_out_with_a_warning(moved, caplog, tag, value):
    run_id = newest_run(moved)
    if value is None:
        moved.delete_tag(run_id, tag)
    else:
        moved.set_tag(run_id, tag, value)
    assert steps(moved) == [(None, 1)]
    assert f"entry {run_id} of the ledger is left out" in caplog.text
    notice(moved, MODEL)
    roll_back(moved, MODEL, **ANN)
    assert positions(moved, MODEL)[CHAMPION] == 1


def test_a_run_that_somebody_else_put_there_is_left_out(moved):
    moved.create_run(experiment(moved).experiment_id, tags={"model": MODEL, "alias": CHAMPION})
    assert steps(moved) == [(None, 1), (1, 2)]
    promote(moved, MODEL, 1, **ANN)
    assert positions(moved, MODEL)[CHAMPION] == 1


def test_a_move_stands_that_cannot_be_written(moved, monkeypatch, caplog):
    def broken(*_, **__):
        raise mlflow.MlflowException("disk full\n(and more)")

    monkeypatch.setattr(type(moved), "create_run", broken)
    (_, entry) = roll_back(moved, MODEL, **ANN)
    assert positions(moved, MODEL) == {"challenger": 1, "champion": 1, "previous_champion": 2}
    assert (entry.move.to_version, entry.run_id) == (1, "")
    assert "the move of champion is not in the ledger: disk full" in caplog.text
    monkeypatch.undo()
    assert {entry.move.alias for entry in notice(moved, MODEL)} == {"champion", "previous_champion"}


def test_a_ledger_that_cannot_be_read_is_no_reason_to_stay(moved, monkeypatch, caplog):
    def broken(*_, **__):
        raise mlflow.MlflowException("no such table: runs")

    monkeypatch.setattr(type(moved), "search_runs", broken)
    notice(moved, MODEL)
    roll_back(moved, MODEL, **ANN)
    assert positions(moved, MODEL)[CHAMPION] == 1
    assert "the ledger cannot be read: no such table: runs" in caplog.text


def test_order_does_not_depend_on_clocks(moved, tmp_path):
    """A move that was written by a machine whose clock is a week ahead is older than the one after it."""
    week = 7 * 24 * 3600 * 1000
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database, database:
        change = "UPDATE runs SET start_time = start_time + ? WHERE run_uuid = ?"
        database.execute(change, (week, newest_run(moved)))
    promote(moved, MODEL, 3, **ANN, force=True)
    assert steps(moved) == [(None, 1), (1, 2), (2, 3)]
    assert notice(moved, MODEL) == []
    assert [int(one.version) for one in champions(moved, MODEL)] == [3, 2, 1]


def test_entries_of_before_there_were_places_come_first(moved):
    for entry in ledger.entries(moved, MODEL):
        for tag in ("place", "by", "from_origin", "to_origin"):
            moved.delete_tag(entry.run_id, tag)
    assert {entry.move.by for entry in ledger.entries(moved, MODEL)} == {"person", "elsewhere"}
    promote(moved, MODEL, 3, **ANN, force=True)
    assert steps(moved) == [(None, 1), (1, 2), (2, 3)]


def test_a_model_that_was_deleted_and_made_anew_has_no_past(moved):
    moved.delete_registered_model(MODEL)
    moved.create_registered_model(MODEL)
    moved.create_model_version(MODEL, "file:///new", tags={"gate_outcome": "promote"})
    assert champions(moved, MODEL) == []
    assert notice(moved, MODEL)
    assert positions(moved, MODEL) == {}
    promote(moved, MODEL, 1, **ANN)
    assert positions(moved, MODEL) == {"champion": 1}
    assert notice(moved, MODEL) == []


def test_a_new_version_of_the_old_number_is_a_move_that_is_noticed(moved):
    moved.delete_registered_model(MODEL)
    moved.create_registered_model(MODEL)
    for number in (1, 2):
        moved.create_model_version(MODEL, f"file:///new/{number}")
    moved.set_registered_model_alias(MODEL, CHAMPION, "2")
    found = {entry.move.alias: entry.move for entry in notice(moved, MODEL)}
    assert (found[CHAMPION].from_version, found[CHAMPION].to_version, found[CHAMPION].flagged) == (2, 2, True)
    assert "previous_champion" not in positions(moved, MODEL)
