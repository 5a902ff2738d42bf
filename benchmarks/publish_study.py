"""Brings a truth study's rows, tables and picture from the data folder to the documentation.

python -m benchmarks.publish_study data/08_reporting/truth_study
"""

import argparse
import json
import shutil
from pathlib import Path

from degre_pipeline.datasets import RowsDataset

PUBLISHED = Path(__file__).resolve().parents[1] / "docs" / "benchmarks"
STUDY = Path("data/08_reporting/truth_study")


def publish(study: Path, published: Path) -> list[str]:
    """Copies what a study found, and returns the names of its data; rows of other data stay as they are."""
    rows = json.loads((study / "truth.json").read_text("utf-8"))
    found = sorted({row["data"] for row in rows})
    for data in found:
        own = [row for row in rows if row["data"] == data]
        RowsDataset(str(published / "truth.json"), key="data", value=data).save(own)
        for ending in (".md", ".svg"):
            shutil.copy(study / f"truth_{data}{ending}", published)
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("study", nargs="?", type=Path, default=STUDY, help=f"its folder (default: {STUDY})")
    print("published:", ", ".join(publish(parser.parse_args().study, PUBLISHED)))
