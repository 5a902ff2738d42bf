"""Brings what a study of several shops found to the documentation: rows, and tables made from them.

    python -m benchmarks.publish_shops

Takes the finished shards of `python -m benchmarks.shops_study` with today's settings. Figures over several
shops have intervals over shops, seeds, and users with their requests.
"""

import argparse
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.own_project import PROJECT
from benchmarks.shops_study import WORLDS, Shard, Study, open_study
from degre_pipeline.datasets import RowsDataset
from degre_pipeline.judging import names
from degre_pipeline.judging.study.shop_rows import pooled_rows
from degre_pipeline.judging.study.study_rows import ALL
from degre_pipeline.reports.truth_study_page import bracketed, markdown_table

PUBLISHED = PROJECT / "docs" / "benchmarks"
SUBJECTS = (names.GENERATOR, names.TEACHER, names.RANKING_ORDER, names.EXPOSED, names.RANDOM, names.OPTIMUM)
"""In the order of reading."""

Row = dict[str, Any]


def publish(study: Study, published: Path, *, samples: int = 10_000) -> list[Shard]:
    """Writes rows of `truth.json` and `shops_DATA.md`, and returns the shards behind them.

    The rows' data are DATA_shops, so that they stand beside those of a truth study on the same data.

    Args:
        study: Whose finished shards are published.
        published: Folder of the files; rows of other data stay as they are.
        samples: Resamples behind every interval.
    Raises: ValueError: If no shard is finished.
    """
    shards = study.finished()
    if not shards:
        raise ValueError(
            f"{study.folder / 'rows'} holds no finished shard; allowed: one or more with today's settings, "
            "from make shops-study"
        )
    single = [row for shard in shards for row in study.rows(shard).load()]
    rows = [*single, *over_shops(study, shards, samples)]
    named = f"{study.data}_shops"
    stored = RowsDataset(str(published / "truth.json"), key="data", value=named)
    stored.save([{**row, "data": named} for row in rows])
    (published / f"shops_{study.data}.md").write_text(as_markdown(rows), "utf-8")
    return shards


def over_shops(study: Study, shards: Sequence[Shard], samples: int) -> list[Row]:
    """Returns the rows of each world over all its shops and seeds, which have low and high, too."""
    rows = []
    for world in WORLDS:
        shops: dict[int, dict[int, pd.DataFrame]] = {}
        for shard in shards:
            if shard.world == world:
                shops.setdefault(shard.shop_seed, {})[shard.seed] = study.values(shard).load()
        facts = {"data": study.data, "world": world, "shop_seed": ALL, "seed": ALL}
        rows += [{**facts, **row} for row in pooled_rows(shops, samples=samples)] if shops else []
    return rows


def as_markdown(rows: Sequence[Row]) -> str:
    """Returns the tables as the documentation shows them."""
    found = pd.DataFrame(rows)
    pooled, single = found[found["shop_seed"] == ALL], found[found["shop_seed"] != ALL]
    parts = [
        "<!-- Written by make publish-shops. -->",
        f"# {rows[0]['data']}, several shops",
        "The default configuration, judged by the truth. Brackets are 95% intervals over shops, seeds of the "
        "models, and users with their requests; of a single shop with a single seed, over users alone.",
        "## Over all shops",
        markdown_table(pd.DataFrame(_over_shops(pooled, single))),
        "## Generator less teacher",
        markdown_table(pd.DataFrame(_gaps(pooled))),
        "## Shop by shop: share of the ranking order's regret removed",
        markdown_table(pd.DataFrame(_shop_by_shop(single))),
    ]
    return "\n\n".join(parts) + "\n"


def _over_shops(pooled: pd.DataFrame, single: pd.DataFrame) -> list[Row]:
    runs = single[["world", "shop_seed", "seed"]].drop_duplicates()
    counts = runs.groupby("world").agg(shops=("shop_seed", "nunique"), runs=("seed", "size"))
    known = {(row["world"], row["subject"], row["metric"]): row for row in pooled.to_dict("records")}
    return [
        {
            "world": world,
            **counts.loc[world],
            "subject": subject,
            "regret removed": _cell(known.get((world, subject, names.REGRET_REMOVED)), "{:.1%}"),
            "true clicks": _cell(known[world, subject, names.UTILITY], "{:.3f}"),
        }
        for world, subject in product(pooled["world"].unique(), SUBJECTS)
    ]


def _gaps(pooled: pd.DataFrame) -> list[Row]:
    gaps = pooled[pooled["metric"] == names.OVER_TEACHER].to_dict("records")
    return [{"world": row["world"], "true clicks": _cell(row, "{:+.4f}")} for row in gaps]


def _shop_by_shop(single: pd.DataFrame) -> list[Row]:
    removed = single[single["metric"] == names.REGRET_REMOVED]
    keys = ["world", "shop_seed", "seed", "head"]
    wide = removed.pivot_table(index=keys, columns="subject", values="value", sort=False).reset_index()
    compared = (names.GENERATOR, names.TEACHER, names.EXPOSED)
    lines = [
        {**{name: row[name] for name in keys}, **{subject: f"{row[subject]:.1%}" for subject in compared}}
        for row in wide.to_dict("records")
    ]
    return sorted(
        lines, key=lambda line: (list(WORLDS).index(line["world"]), line["shop_seed"], line["seed"])
    )


def _cell(row: Mapping[Any, Any] | None, form: str) -> str:
    return "–" if row is None else bracketed(form, row["value"], row["low"], row["high"])


def main() -> None:
    """Publishes the finished shards of today's settings."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--env", default="", help="folder of conf/ whose shards are meant; needs --to")
    parser.add_argument("--to", type=Path, help="folder of the files (docs/benchmarks)")
    chosen = parser.parse_args()
    if chosen.env and not chosen.to:
        parser.error(f"--env is {chosen.env!r} without --to; allowed: a folder of its own for these figures")
    try:
        shards = publish(open_study(chosen.env), chosen.to or PUBLISHED)
    except ValueError as error:
        parser.error(str(error))
    print("published:", ", ".join(shard.name for shard in shards))


if __name__ == "__main__":
    main()
