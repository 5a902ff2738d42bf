"""What a scheduler asks about the version of a day; the outcomes are those of `conftest.OUTCOMES`."""

import pytest
from click.testing import CliRunner

from degre_pipeline.release.aliases import positions
from degre_pipeline.release.command_line import main
from degre_pipeline.release.day_version import serves, version_of_day, waits

MODEL = "reranker"
PASSED, HELD, REFUSED, NOT_JUDGED = "2026-01-29", "2026-01-30", "2026-01-31", "2026-02-01"


@pytest.fixture
def dated(versions):
    """The versions with days of their own, in the order of their numbers."""
    for number, day in enumerate((PASSED, HELD, REFUSED, NOT_JUDGED), start=1):
        versions.set_model_version_tag(MODEL, str(number), "run_date", day)
    return versions


@pytest.fixture
def check(dated, tmp_path):
    """Function that returns the exit code and the words of `degre check`."""
    place = ["--tracking-uri", f"sqlite:///{tmp_path / 'mlflow.db'}", "--model", MODEL]

    def run(state, day):
        done = CliRunner().invoke(main, ["check", state, f"--run-date={day}", *place])
        return done.exit_code, done.output

    return run


def test_the_version_of_a_day_is_the_newest_of_it_unless_the_challenger_is(dated):
    dated.set_model_version_tag(MODEL, "4", "run_date", PASSED)
    assert int(version_of_day(dated, MODEL, PASSED).version) == 1
    dated.set_registered_model_alias(MODEL, "challenger", "2")
    assert int(version_of_day(dated, MODEL, PASSED).version) == 4


def test_a_day_without_a_version_is_named(dated, check):
    with pytest.raises(ValueError, match=r"run_date is '2026-03-01', of which 'reranker' has no version"):
        version_of_day(dated, MODEL, "2026-03-01")
    code, said = check("waits", "2026-03-01")
    assert code == 1
    assert "has no version; allowed: a day whose model is registered" in said


@pytest.mark.parametrize(("day", "so"), [(PASSED, True), (HELD, True), (REFUSED, False), (NOT_JUDGED, False)])
def test_what_the_gate_let_through_waits(dated, check, day, so):
    assert waits(dated, MODEL, version_of_day(dated, MODEL, day)) is so
    assert check("waits", day)[0] == (0 if so else 99)


def test_the_champion_waits_for_nobody_and_neither_does_what_is_older(dated, check):
    dated.set_registered_model_alias(MODEL, "champion", "2")
    assert serves(dated, MODEL, version_of_day(dated, MODEL, HELD))
    assert [check("waits", day)[0] for day in (PASSED, HELD)] == [99, 99]
    assert [check("serves", day)[0] for day in (PASSED, HELD)] == [99, 0]


def test_it_says_what_the_gate_said(check):
    code, said = check("waits", HELD)
    assert (code, said.splitlines()[-1]) == (0, f"reranker, version 2 of {HELD}: waits. Gate: hold, ")


def test_the_version_of_a_day_is_promoted(dated, tmp_path, monkeypatch):
    monkeypatch.setenv("DEGRE_WHO", "ann")
    place = ["--tracking-uri", f"sqlite:///{tmp_path / 'mlflow.db'}", "--model", MODEL]
    done = CliRunner().invoke(main, ["promote", f"--run-date={HELD}", "--why=looked", *place])
    assert done.exit_code == 0, done.output
    assert "by ann: looked" in done.output
    assert positions(dated, MODEL)["champion"] == 2


def test_a_person_promotes_the_version_that_the_question_was_about(dated, check, promote_of_day):
    assert check("waits", HELD)[0] == 0
    assert promote_of_day(HELD) == (0, 2)


def test_a_version_that_came_after_the_question_is_not_promoted(dated, check, promote_of_day):
    """The day is run again, by hand, while the person looks at version 2."""
    check("waits", HELD)
    dated.set_model_version_tag(MODEL, "4", "run_date", HELD)
    dated.set_model_version_tag(MODEL, "4", "gate_outcome", "hold")
    assert promote_of_day(HELD) == (65, None)
    check("waits", HELD)
    assert promote_of_day(HELD) == (0, 4)


def test_a_question_of_another_run_is_no_permission(dated, check, promote_of_day, monkeypatch):
    check("waits", HELD)
    monkeypatch.setenv("DEGRE_WORKFLOW_RUN", "daily_retraining manual__2")
    assert promote_of_day(HELD) == (65, None)


@pytest.fixture
def promote_of_day(dated, tmp_path, monkeypatch):
    """Function that returns the exit code of `degre promote` in a workflow, and the champion after it."""
    monkeypatch.setenv("DEGRE_WORKFLOW_RUN", "daily_retraining scheduled__1")
    place = ["--tracking-uri", f"sqlite:///{tmp_path / 'mlflow.db'}", "--model", MODEL]

    def run(day):
        done = CliRunner().invoke(main, ["promote", f"--run-date={day}", "--why=approved", *place])
        return done.exit_code, positions(dated, MODEL).get("champion")

    return run
