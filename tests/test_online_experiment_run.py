"""The whole experiment after a whole run: a real registry, a real service, a real MLflow run."""

import json
from pathlib import Path

import pandas as pd
import pytest

import project_runs

REPORTING = Path("data/08_reporting/test/online_experiment")
PARAMETERS = {"online_experiment.settings.bootstrap_samples": 40}


@pytest.mark.slow
def test_the_experiment_runs_on_what_a_run_has_made(mlflow_database: Path, tmp_path: Path) -> None:
    project = project_runs.lay_out(tmp_path / "project", mlflow_database)
    project_runs.run(project)
    assert not (project / REPORTING).exists(), "it is no part of the default run"
    log = project_runs.request_log(project)

    project_runs.run(project, "online_experiment", parameters=PARAMETERS)
    outcomes = pd.read_parquet(project / REPORTING / "online_outcomes.parquet")
    first_lifts = json.loads((project / REPORTING / "online_lifts.json").read_text("utf-8"))
    assert len(outcomes) == 240
    assert set(outcomes["arm"]) == {"ranking_order", "prm", "degre"}
    assert outcomes["user_id"].map(outcomes.groupby("user_id")["arm"].nunique()).max() == 1
    served = outcomes[outcomes["arm"] == "degre"]
    assert (served["fallback"] == "").all()
    assert (served["latency_ms"] > 0).all()
    assert (outcomes["orders"] <= outcomes["clicks"]).all()
    for name, table in project_runs.request_log(project).items():
        pd.testing.assert_frame_equal(table, log[name])

    run = project_runs.runs(project)[0]
    lift = next(row for row in first_lifts if row["subject"] == "degre" and row["against"] == "prm")
    assert run.data.metrics["online.degre_over_prm.click_through"] == pytest.approx(lift["value"])
    assert {"report.html", "online_lifts.json"} <= project_runs.artifacts(project, run, "reporting")

    project_runs.run(project, "online_experiment", parameters=PARAMETERS)
    again = json.loads((project / REPORTING / "online_lifts.json").read_text("utf-8"))
    assert _without_latency(again) == _without_latency(first_lifts)


def _without_latency(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    return [row for row in rows if not str(row["measure"]).startswith("latency")]
