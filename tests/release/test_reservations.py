"""What in the registry keeps a version from becoming the champion by itself."""

import pytest

from degre_pipeline.release.aliases import notice
from degre_pipeline.release.promotion import promote, roll_back
from degre_pipeline.release.reservations import champion_since, reservations
from degre_pipeline.release.served_before import taken_down
from degre_pipeline.release.versions import origin_of

MODEL = "reranker"
ANN = {"who": "ann", "why": "complaints"}
GATE = {"who": "gate, run by bob", "why": "the gate", "by": "gate"}


@pytest.fixture
def served(versions):
    """The gate made version 1 and then version 2 the champion."""
    notice(versions, MODEL)
    promote(versions, MODEL, 1, **GATE)
    promote(versions, MODEL, 2, **GATE)
    return versions


def version(client, number):
    return client.get_model_version(MODEL, str(number))


def test_nothing_keeps_a_version_that_never_served(served):
    assert reservations(served, version(served, 3), version(served, 2)) == []


def test_a_version_that_a_person_took_down_waits_for_a_person(served):
    roll_back(served, MODEL, **ANN)
    (reason,) = reservations(served, version(served, 2), version(served, 1))
    assert reason == "version 2 was taken down by ann: complaints; a person may promote it again"
    promote(served, MODEL, 3, **GATE, force=True)
    assert taken_down(served, version(served, 2)) is not None
    promote(served, MODEL, 2, **ANN)
    assert reservations(served, version(served, 2), version(served, 1)) == []


def test_a_version_that_the_gate_replaced_was_not_taken_down(served):
    assert taken_down(served, version(served, 1)) is None


@pytest.mark.parametrize("how", ["moved", "removed"])
def test_the_mlflow_ui_takes_down_too(served, how):
    if how == "moved":
        served.set_registered_model_alias(MODEL, "champion", "1")
    else:
        served.delete_registered_model_alias(MODEL, "champion")
    notice(served, MODEL)
    assert taken_down(served, version(served, 2)).move.by == "elsewhere"


def test_a_new_version_of_the_number_was_not_taken_down(served):
    roll_back(served, MODEL, **ANN)
    served.delete_registered_model(MODEL)
    served.create_registered_model(MODEL)
    for number in (1, 2):
        served.create_model_version(MODEL, f"file:///new/{number}")
    assert taken_down(served, version(served, 2)) is None


def test_an_alias_that_was_taken_away_waits_for_a_person(served):
    served.delete_registered_model_alias(MODEL, "champion")
    (reason,) = reservations(served, version(served, 3), version(served, 2))
    assert "no version is the champion, though version 2 was" in reason


def test_a_comparison_counts_while_the_champion_is_the_one_compared_with(served):
    origin = origin_of(version(served, 2))
    assert champion_since(served, version(served, 3), 2, origin) == ""
    assert champion_since(served, version(served, 2), 1, "any") == ""  # it is the champion itself
    changed = champion_since(served, version(served, 3), 1, origin_of(version(served, 1)))
    assert changed == "the champion is version 2 now; the comparison was with version 1"
    assert "version 2 now" in champion_since(served, version(served, 3), None, None)
    assert "version 2 now" in champion_since(served, version(served, 3), 2, "another model of that number")
    served.delete_registered_model_alias(MODEL, "champion")
    assert "version none now" in champion_since(served, version(served, 3), 2, origin)
