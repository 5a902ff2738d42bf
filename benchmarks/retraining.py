"""What daily retraining is worth, and starting from the champion's weights, on the days of two living shops.

    make living-shop                                     # in one clone of the project
    make living-shop PARAMS=start_from_champion=true     # in another
    python -m benchmarks.retraining path/to/the/first path/to/the/other

Reads the figures and the training histories of both, writes `docs/benchmarks/retraining.json` and the picture
beside it.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import pandas as pd

from degre_pipeline.experiments.day_rows import GAIN
from degre_pipeline.experiments.served_lists import CHAMPION, FROZEN
from degre_pipeline.judging.names import RANKING_ORDER

TARGET = Path(__file__).resolve().parents[1] / "docs" / "benchmarks" / "retraining.json"
REPORTING = "data/08_reporting/living_shop"
HISTORIES = ("mining_evaluator", "external_evaluator", "generator")
ANEW, WARM = "retrained, each day anew", "retrained, from the champion's weights"
Row = dict[str, Any]


def rows_of(project: Path, name: str) -> list[Row]:
    """Returns the figures of a project's days on which a champion served, with the seconds of training."""
    files = sorted((project / REPORTING / "living_shop/figures").glob("*.parquet"))
    figures = pd.concat([pd.read_parquet(file) for file in files], ignore_index=True)
    served = figures[figures["day"].isin(figures.loc[figures["subject"] == CHAMPION, "day"])]
    rows: list[Row] = json.loads(served.to_json(orient="records"))
    return [{"shop": name, **row, "training_seconds": _seconds(project, row["day"])} for row in rows]


def _seconds(project: Path, day: str) -> float | None:
    """Returns the seconds that the day's own retraining spent in the epochs of its three models."""
    files = [project / REPORTING / day / "training" / f"{name}_history.parquet" for name in HISTORIES]
    if not all(file.exists() for file in files):
        return None
    return float(sum(pd.read_parquet(file)["seconds"].sum() for file in files))


def draw(rows: list[Row], path: Path) -> None:
    """Draws the regret removed by day, and the clicks over the frozen model."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    table = pd.DataFrame(rows).assign(day=lambda rows: pd.to_datetime(rows["day"]).dt.strftime("%d.%m."))
    with mpl.rc_context({"svg.hashsalt": "retraining"}):
        figure, (removed, gain) = plt.subplots(1, 2, figsize=(11, 3.6), layout="constrained")
        frozen = table[(table["shop"] == ANEW) & (table["subject"] == FROZEN)]
        removed.plot(frozen["day"], 100 * frozen["regret_removed"], marker="o", label="frozen")
        for shop in (ANEW, WARM):
            own = table[table["shop"] == shop]
            champion, over = (own[own["subject"] == subject] for subject in (CHAMPION, GAIN))
            removed.plot(champion["day"], 100 * champion["regret_removed"], marker="o", label=shop)
            gain.plot(over["day"], over["clicks"], marker="o", label=shop)
            gain.fill_between(over["day"], over["low"], over["high"], alpha=0.15, linewidth=0)
        removed.set(ylabel=f"regret of the {RANKING_ORDER.replace('_', ' ')} removed, %")
        gain.set(ylabel="clicks a request over the frozen model")
        gain.axhline(0, color="0.7", linewidth=1)
        removed.legend()
        figure.savefig(path, metadata={"Date": None})
        plt.close(figure)


def main() -> None:
    """Writes rows and picture."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("anew", type=Path, help="a project whose days started from nothing")
    parser.add_argument("warm", type=Path, help="one whose days started from the champion's weights")
    places = parser.parse_args()
    rows = [*rows_of(places.anew, ANEW), *rows_of(places.warm, WARM)]
    TARGET.write_text("[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n", encoding="utf-8")
    draw(rows, TARGET.with_suffix(".svg"))
    for row in rows:
        if row["subject"] in (CHAMPION, FROZEN, GAIN):
            print(row)


if __name__ == "__main__":
    main()
