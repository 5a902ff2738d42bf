"""Draws the stored figures: how mining grows, and what share of plain products each piece reaches."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.growth import BASE, GRID

PICTURE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks" / "performance.svg"
AXES = {"n": "candidates N", "b": "beam B", "l": "slots L", "width": "width"}
SHARES = {
    "mining.fraction_of_matmul": "mining",
    "mining.plain_fraction_of_matmul": "mining, uncompiled",
    "mining.reencoding_fraction_of_matmul": "re-encoding",
    "search.exact_fraction_of_matmul": "exact search",
    "training.fraction_of_bare": "training, of bare layers",
}


def draw(figures: Mapping[str, Mapping[str, Any]], path: Path = PICTURE) -> None:
    """Draws what is there of the stored figures; their names are those of `results.json`."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    picture, axes = plt.subplots(1, 5, figsize=(13, 2.8), layout="constrained", width_ratios=[1, 1, 1, 1, 2])
    for (name, values), panel in zip(GRID.items(), axes, strict=False):
        stored = {value: figures.get(f"mining.cost_at_{name}_{value}") for value in values}
        known = {value: row for value, row in stored.items() if row}
        panel.plot(list(known), [row["median"] for row in known.values()], marker="o", label="measured")
        panel.plot(values, [value / BASE[name] for value in values], linestyle=":", label="proportional")
        panel.set(xlabel=AXES[name])
    axes[0].set(ylabel="cost a request, times")
    axes[0].legend()
    shares = {label: figures[name] for name, label in SHARES.items() if name in figures}
    axes[-1].barh(list(shares), [row["median"] for row in shares.values()])
    axes[-1].invert_yaxis()
    axes[-1].set(xlim=(0, 1), xlabel="share of the same products alone")
    picture.savefig(path, metadata={"Date": None})
    plt.close(picture)
