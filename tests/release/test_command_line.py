"""The command `degre` in a project with a real MLflow database."""

import sqlite3
from contextlib import closing

import pytest
from click.testing import CliRunner

import project_runs
from degre_pipeline.release import ledger
from degre_pipeline.release.aliases import positions
from degre_pipeline.release.command_line import find_place, main

MODEL = "reranker"


@pytest.fixture
def degre(versions, tmp_path, monkeypatch):
    """Function that runs the command on the database of `versions`, from an empty folder."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    place = ["--tracking-uri", f"sqlite:///{tmp_path / 'mlflow.db'}", "--model", MODEL]

    def run(*words, ok=True):
        done = CliRunner().invoke(main, [*words, *place])
        assert done.exit_code == (0 if ok else 1), done.output
        return done.output

    return run


@pytest.mark.parametrize("words", [[], ["promote"], ["rollback"], ["history"]])
def test_every_command_explains_itself(words):
    done = CliRunner().invoke(main, [*words, "--help"])
    assert done.exit_code == 0
    assert "Usage: " in done.output
    assert ("--why" in done.output) == (words in (["promote"], ["rollback"]))


def test_promotes_the_challenger_and_a_named_version_and_goes_back(degre, versions):
    said = degre("promote", "--why", "first one", "--who", "ann")
    assert "champion none -> 1  gate: promote  by ann: first one" in said
    degre("promote", "2", "--why", "looked at it")
    assert positions(versions, MODEL)["champion"] == 2
    assert "champion 2 -> 1" in degre("rollback", "--why", "complaints")
    assert positions(versions, MODEL)["champion"] == 1
    assert "the champion already" in degre("promote", "1", "--why", "again")


def test_who_is_the_user_of_the_machine_by_default(degre, versions, monkeypatch):
    monkeypatch.setenv("LOGNAME", "bob")
    degre("promote", "--why", "first one")
    assert ledger.last(versions, MODEL, "champion").who == "bob"


def test_a_reason_is_required(versions, degre):
    done = CliRunner().invoke(main, ["promote"])
    assert done.exit_code == 2
    assert "--why" in done.output


def test_what_the_gate_refused_needs_force(degre, versions):
    said = degre("promote", "3", "--why", "I know better", ok=False)
    assert "Error: the gate's outcome for version 3 is 'refuse'" in said
    assert "champion" not in positions(versions, MODEL)
    assert "[not passed by the gate]" in degre("promote", "3", "--why", "I know better", "--force")


def test_no_way_back_is_one_line(degre):
    assert "Error: 'reranker' has no version with alias" in degre("rollback", "--why", "oops", ok=False)


def test_history_shows_moves_newest_first_with_those_made_elsewhere(degre, versions):
    degre("promote", "--why", "first one", "--who", "ann")
    versions.set_registered_model_alias(MODEL, "champion", "3")
    degre("history")
    said = degre("history", "--alias", "champion").splitlines()
    assert said[0].startswith(
        "reranker: challenger is version 1, champion is version 3, previous_champion is"
    )
    assert len(said) == 3
    assert "champion none -> 1" in said[2]
    assert "champion 1 -> 3" in said[1]
    assert "by unknown: found moved outside" in said[1]
    assert said[1].endswith("[not passed by the gate]")
    assert len(degre("history", "--most", "1").splitlines()) == 2


def test_a_database_that_is_not_there_is_not_made(tmp_path):
    file = tmp_path / "none.db"
    done = CliRunner().invoke(main, ["history", "--tracking-uri", f"sqlite:///{file}", "--model", MODEL])
    assert done.exit_code == 1
    assert f"there is no MLflow database {file}" in done.output
    assert not file.exists()


def test_an_unknown_model_is_named_with_those_that_are_there(degre, versions, tmp_path):
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    done = CliRunner().invoke(main, ["history", "--tracking-uri", uri, "--model", "typo"])
    assert done.exit_code == 1
    assert "model is 'typo'; allowed: reranker" in done.output


def test_outside_of_a_project_the_place_must_be_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["history"])
    assert done.exit_code == 1
    assert "is in no project; allowed: " in done.output


@pytest.mark.parametrize(
    ("env", "model"),
    [(None, "degre_reranker"), ("test", "degre_reranker_test"), ("ml1m", "degre_reranker_ml1m")],
)
def test_the_settings_of_the_project_name_model_and_database(env, model, monkeypatch):
    for variable in ("MLFLOW_TRACKING_URI", "KEDRO_ENV"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(project_runs.SOURCE / "tests" / "release")
    place = find_place(project=None, env=env, tracking_uri=None, model=None)
    assert (place.model, place.tracking_uri) == (model, f"sqlite:///{project_runs.SOURCE / 'mlflow.db'}")


def test_the_environment_names_database_and_settings(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    monkeypatch.setenv("KEDRO_ENV", "test")
    place = find_place(project=project_runs.SOURCE, env=None, tracking_uri=None, model=None)
    assert (place.model, place.tracking_uri) == ("degre_reranker_test", "http://127.0.0.1:5000")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("fine\n2026-01-01 00:00:00  champion 1 -> 3  gate: promote  by ann: forged", "fine\\n2026-01-01"),
        ("red \x1b[31malarm", "red \\x1b[31malarm"),
        ("back\x08space \u202e", "back\\x08space \\u202e"),
        ("Straße, 価格", "Straße, 価格"),
    ],
)
def test_a_reason_can_neither_forge_a_line_nor_command_a_terminal(degre, versions, text, shown):
    degre("promote", "--why", text, "--who", "ann")
    said = degre("history")
    assert shown in said
    assert len(said.splitlines()) == 3  # the positions, and one line for each move
    assert "\x1b" not in said


@pytest.mark.parametrize("command", ["promote", "rollback"])
@pytest.mark.parametrize("blank", ["", "  ", "\n"])
def test_a_reason_says_something(versions, command, blank):
    done = CliRunner().invoke(main, [command, "--why", blank])
    assert done.exit_code == 2
    assert f"why is {blank!r}; allowed: a text that says something" in done.output


def test_blanks_around_a_name_and_a_reason_are_left_out(degre, versions):
    degre("promote", "--why", " looked at it\n", "--who", " ann ")
    kept = ledger.last(versions, MODEL, "champion")
    assert (kept.who, kept.why) == ("ann", "looked at it")


def test_a_locked_database_is_one_line(degre, tmp_path, monkeypatch):
    """Another process is in the middle of writing; SQLAlchemy's own patience is left out."""
    with closing(sqlite3.connect(tmp_path / "mlflow.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        place = ["--tracking-uri", f"sqlite:///{tmp_path / 'mlflow.db'}?timeout=0", "--model", MODEL]
        done = CliRunner().invoke(main, ["history", *place])
    assert done.exit_code == 75
    assert done.output == "Error: MLflow's database is locked by another process; try again in a moment\n"
