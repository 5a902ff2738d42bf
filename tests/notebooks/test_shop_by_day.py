"""The notebook of the shop's days runs on the figures of some."""

from pathlib import Path

import pandas as pd

import notebook_runs
import project_runs

FIGURES = "data/08_reporting/living_shop/living_shop/figures"
SUBJECTS = {"ranking_order": 1.7, "best": 2.1, "champion": 1.95, "frozen": 1.9, "champion_over_frozen": 0.05}


def test_runs_on_the_figures_of_some_days(mlflow_database: Path, tmp_path: Path, monkeypatch) -> None:
    project = project_runs.lay_out(tmp_path / "project", mlflow_database)
    (project / FIGURES).mkdir(parents=True)
    for version, day in enumerate(("2026-02-01", "2026-02-02", "2026-02-03"), start=1):
        rows = [
            (day, subject, version if subject == "champion" else 1, clicks, clicks - 0.1, clicks + 0.1, 0.5)
            for subject, clicks in SUBJECTS.items()
        ]
        columns = ["day", "subject", "version", "clicks", "low", "high", "regret_removed"]
        table = pd.DataFrame(rows, columns=columns).astype({"version": "Int64"})
        table.to_parquet(project / FIGURES / f"{day}.parquet")
    notebook = notebook_runs.read("02_shop_by_day.ipynb")

    notebook_runs.execute(notebook, project, monkeypatch)

    assert notebook_runs.images(notebook) == 2
    tables = [
        output["data"].get("text/html", "") for cell in notebook.cells for output in cell.get("outputs", [])
    ]
    [served] = [table for table in tables if "version that serves" in table]
    assert served.count("<td>") == 3, "every day another version"
