"""Rows and picture of two living shops' days."""

import json

import pandas as pd

from benchmarks import retraining

SUBJECTS = ("champion", "frozen", "champion_over_frozen", "ranking_order", "best")


def lived(project, days, trained):
    """Writes figures of some days and the training histories of those on which models were trained."""
    folder = project / retraining.REPORTING
    (folder / "living_shop/figures").mkdir(parents=True)
    for day in days:
        rows = [(day, subject, 1, 1.5, 1.4, 1.6, 0.5) for subject in SUBJECTS]
        columns = ["day", "subject", "version", "clicks", "low", "high", "regret_removed"]
        pd.DataFrame(rows, columns=columns).to_parquet(folder / f"living_shop/figures/{day}.parquet")
    for day in trained:
        (folder / day / "training").mkdir(parents=True)
        for name in retraining.HISTORIES:
            history = pd.DataFrame({"seconds": [2.0, 3.0]})
            history.to_parquet(folder / day / "training" / f"{name}_history.parquet")


def test_rows_hold_the_days_with_a_champion_and_the_seconds_of_training(tmp_path, monkeypatch, capsys):
    lived(tmp_path / "anew", ["2026-02-01", "2026-02-02"], ["2026-02-01"])
    lived(tmp_path / "warm", ["2026-02-01"], ["2026-02-01"])
    before = tmp_path / "anew" / retraining.REPORTING / "living_shop/figures/2026-01-31.parquet"
    shown = pd.read_parquet(before.with_stem("2026-02-01")).query("subject in ('ranking_order', 'best')")
    shown.assign(day="2026-01-31").to_parquet(before)
    monkeypatch.setattr(retraining, "TARGET", tmp_path / "retraining.json")
    monkeypatch.setattr("sys.argv", ["retraining", str(tmp_path / "anew"), str(tmp_path / "warm")])

    retraining.main()

    rows = pd.DataFrame(json.loads((tmp_path / "retraining.json").read_text()))
    assert rows.groupby("shop")["day"].nunique().to_dict() == {retraining.ANEW: 2, retraining.WARM: 1}
    seconds = rows[rows["shop"] == retraining.ANEW].groupby("day")["training_seconds"].first()
    assert seconds["2026-02-01"] == 15.0
    assert pd.isna(seconds["2026-02-02"])
    assert "<svg" in (tmp_path / "retraining.svg").read_text()
    assert "champion_over_frozen" in capsys.readouterr().out
