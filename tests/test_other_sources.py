"""The whole project on other sources than the simulated shop, whose true clicks nobody knows."""

from pathlib import Path

import pandas as pd

import project_runs


def test_movielens(mlflow_database: Path, tmp_path: Path) -> None:
    project = project_runs.lay_out(tmp_path / "project", mlflow_database)
    project_runs.write_movielens(project / "data/01_raw/ml-1m")
    shrink(project / "conf" / "ml1m")
    folder = project / "data/01_raw/ml-1m"
    project_runs.run(project, env="ml1m", parameters={"ingestion.movielens.folder": str(folder)})
    found = {
        (row["judge"], row["subject"], row["metric"]) for row in project_runs.load(project, "metrics", "ml1m")
    }
    assert ("external", "generator", "hr1") in found
    assert "truth" not in {judge for judge, _, _ in found}
    lists = project_runs.load(project, "lists", "ml1m")
    assert set(lists["candidate_item_ids"].map(len)) == {12}
    assert set(lists["exposed_indices"].map(len)) == {6}
    assert all("/ml1m/" in name for name in project_runs.written(project) if "01_raw" not in name)


def test_a_log_of_ones_own_with_short_lists(
    finished_run: Path, mlflow_database: Path, tmp_path: Path
) -> None:
    tables = project_runs.request_log(finished_run)
    short = tables["requests"]["request_id"].iloc[::3]
    project = project_runs.lay_out(tmp_path / "project", mlflow_database)
    project_runs.run(project, parameters=project_runs.own_log(project, with_three_candidates(tables, short)))
    assert "truth" not in {judge for judge, _, _ in known_figures(project)}
    lists = project_runs.load(project, "lists").set_index("request_id")["candidate_item_ids"]
    evaluated = project_runs.load(project, "evaluated_lists")
    for request_id, generated in zip(
        evaluated["request_id"].tolist(), evaluated["generator"].tolist(), strict=True
    ):
        candidates = len(lists[request_id])
        assert candidates == (3 if request_id in set(short) else 8)
        filled = generated[: min(candidates, 4)]
        assert sorted(set(filled)) == sorted(filled)
        assert set(filled) <= set(range(candidates))
        assert generated[len(filled) :] == [-1] * (4 - len(filled))


def with_three_candidates(tables: dict[str, pd.DataFrame], short: pd.Series) -> dict[str, pd.DataFrame]:
    """Returns the log in which some requests had, and showed, only the first three items that they showed."""
    shown = tables["exposures"]
    shown = shown[~shown["request_id"].isin(short) | (shown["slot"] <= 3)]
    handed = tables["candidates"]
    kept = handed.merge(shown[["request_id", "item_id"]], on=["request_id", "item_id"])
    few = kept[kept["request_id"].isin(short)].sort_values(["request_id", "candidate_index"])
    few = few.assign(candidate_index=few.groupby("request_id").cumcount())
    many = handed[~handed["request_id"].isin(short)]
    return {**tables, "candidates": pd.concat([few, many]), "exposures": shown}


def known_figures(project: Path, env: str = "test") -> set[tuple[str, str, str]]:
    """Returns judge, subject and metric of every figure that has a value."""
    rows = project_runs.load(project, "metrics", env)
    return {(row["judge"], row["subject"], row["metric"]) for row in rows if row["value"] is not None}


def shrink(overlay: Path) -> None:
    """Writes the test overlay's sizes over those of another overlay, and leaves the rest of it."""
    for name in ("evaluator_training", "mining", "generator_distillation", "evaluation"):
        small = (project_runs.SOURCE / "conf" / "test" / f"parameters_{name}.yml").read_text("utf-8")
        (overlay / f"parameters_{name}.yml").write_text(small, "utf-8")
