"""The functions behind the hooks; tests/test_hooks.py runs the hooks themselves."""

from pathlib import Path

import pandas as pd
import pytest
from mlflow.utils.validation import MAX_PARAM_VAL_LENGTH

from degre_pipeline.hooks.artifacts import artifact_folder
from degre_pipeline.hooks.closing_table import gate_line
from degre_pipeline.hooks.flat_parameters import flatten, loggable, loggable_name
from degre_pipeline.hooks.logged_metrics import curves, diagnoses, lifts, results
from degre_pipeline.hooks.mlflow_run import with_locations

PROJECT = Path("/project")


@pytest.mark.parametrize(
    ("config", "environment", "uri", "artifact_location"),
    [
        ({}, None, "sqlite:////project/mlflow.db", "file:///project/mlartifacts"),
        ({}, "sqlite:////other.db", "sqlite:////other.db", "file:///project/mlartifacts"),
        ({}, "http://127.0.0.1:5000", "http://127.0.0.1:5000", None),
        ({"server": {"mlflow_tracking_uri": "https://a"}}, "http://b", "https://a", None),
        (
            {"tracking": {"experiment": {"create_experiment_kwargs": {"artifact_location": "s3://kept"}}}},
            None,
            "sqlite:////project/mlflow.db",
            "s3://kept",
        ),
    ],
)
def test_locations(config, environment, uri, artifact_location, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", environment or "")
    filled = with_locations(config, PROJECT)
    creation = filled["tracking"].get("experiment", {}).get("create_experiment_kwargs", {})
    assert filled["server"]["mlflow_tracking_uri"] == uri
    assert creation.get("artifact_location") == artifact_location


def test_diagnostics_are_curves_over_their_places():
    rows = pd.DataFrame(
        [
            ("optimism", "beam", "truth", None, 0.25),
            ("optimism_by_slot", "beam", "truth", 1.0, 0.1),
            ("optimism_by_slot", "beam", "truth", 2.0, 0.15),
            ("agreement", "mined", "external-mining", None, None),
        ],
        columns=["diagnostic", "subject", "judge", "at", "value"],
    )
    assert list(diagnoses(rows)) == [
        ("diagnostics.optimism.beam.truth", 0.25, 0),
        ("diagnostics.optimism_by_slot.beam.truth", 0.1, 1),
        ("diagnostics.optimism_by_slot.beam.truth", 0.15, 2),
    ]


def test_levels_and_lifts_are_named_after_arms_measure_and_group():
    everybody = {"by": "all", "group": "all", "measure": "orders"}
    rows = [
        {"subject": "degre", "against": None, **everybody, "value": 0.4},
        {"subject": "degre", "against": "prm", **everybody, "value": 0.1},
        {
            "subject": "degre",
            "against": "prm",
            "by": "client",
            "group": "app",
            "measure": "orders",
            "value": 0.2,
        },
        {
            "subject": "degre",
            "against": "prm",
            "by": "client",
            "group": "web",
            "measure": "orders",
            "value": None,
        },
    ]
    assert list(lifts(rows)) == [
        ("online.degre.orders", 0.4, 0),
        ("online.degre_over_prm.orders", 0.1, 0),
        ("online.degre_over_prm.orders.client.app", 0.2, 0),
    ]


def test_history_without_epochs_is_refused():
    with pytest.raises(ValueError, match=r"'fit_history' has the columns \['loss'\]; allowed: one of them"):
        list(curves("fit", pd.DataFrame({"loss": [1.0]})))


def test_results_may_be_a_frame():
    frame = pd.DataFrame({"subject": ["a", "b"], "judge": "j", "metric": "m", "value": [1.0, None]})
    assert list(results(frame)) == [("j.a.m", 1.0, 0)]


def test_flatten_keeps_lists_and_empty_mappings_as_leaves():
    assert flatten({"a": {"b": [1], "c": {}}, "d": 1.5}) == {"a.b": "[1]", "a.c": "{}", "d": "1.5"}


def test_loggable_fits_the_limits():
    assert loggable_name("own.degre.ndcg@10 (%)") == "own.degre.ndcg_at_10 ___"
    longest = "x" * MAX_PARAM_VAL_LENGTH
    assert loggable({"a": longest}) == {"a": longest}


@pytest.mark.parametrize(
    ("path", "folder"),
    [
        ("data/06_models/w.safetensors", "models"),
        ("data/08_reporting/plots", "reporting"),
        ("data/04_feature/space.json", "documents"),
        ("data/05_model_input/b.safetensors", None),
    ],
)
def test_artifact_folder(path, folder):
    assert artifact_folder(Path(path)) == folder


def test_gate_line_says_outcome_version_and_rule():
    by = {
        "rule": "latency",
        "about": "multiple of the champion's median",
        "reason": "2; allowed: at most 1.5",
    }
    line = gate_line({"outcome": "hold", "decided_by": by, "challenger": {"version": 7}})
    assert line == (
        "Gate: hold version 7 (latency, multiple of the champion's median: 2; allowed: at most 1.5)"
    )
