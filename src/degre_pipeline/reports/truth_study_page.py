"""Renders the truth study: its tables, its picture and its page."""

import io
from collections.abc import Sequence
from typing import Any

import pandas as pd

from degre_pipeline.judging import names
from degre_pipeline.judging.study.study_judges import TRAINED
from degre_pipeline.judging.study.study_rows import ALL
from degre_pipeline.reports.page import render
from degre_pipeline.reports.plots import svg_address
from degre_pipeline.run_facts import RunFacts

JUDGES = (names.TRUTH, *TRAINED, names.MINING)
Rows = Sequence[dict[str, Any]]


def tables(rows: Rows, agreement: pd.DataFrame) -> dict[str, pd.DataFrame | None]:
    """Returns the tables by title: HR@1% and gains by judge, what truth says, optimism, distillation gap."""
    pooled = _over_seeds(pd.DataFrame(rows))
    return {
        "HR@1%": _by_judge(pooled, names.HR1, "{:.3f}"),
        "Clicks a list over the ranking order": _by_judge(pooled, names.OVER_RANKING_ORDER, "{:+.3f}"),
        "Clicks a list over the first arm's, seed by seed and request by request": _by_judge(
            pooled, names.OVER_FIRST_ARM, "{:+.4f}"
        ),
        "Share of the ranking order's regret that is removed, in truth": _by_judge(
            pooled, names.REGRET_REMOVED, "{:.1%}"
        ),
        "Optimism: the miner's value over the judge's": _by_judge(pooled, names.OPTIMISM, "{:+.1%}"),
        "Distillation gap: HR@1% of the teacher less the generator's": _by_judge(
            pooled, names.HR1_BELOW_TEACHER, "{:+.3f}"
        ),
        "Two ensembles of a size, on random lists": agreement.round(3),
    }


def as_markdown(rows: Rows, agreement: pd.DataFrame) -> str:
    """Returns the tables as the documentation shows them."""
    parts = [f"<!-- Written by kedro run --pipeline=truth_study. -->\n\n# {rows[0]['data']}"]
    for title, table in tables(rows, agreement).items():
        parts += [f"## {title}", "None." if table is None else markdown_table(table)]
    return "\n\n".join(parts) + "\n"


def render_study(rows: Rows, agreement: pd.DataFrame, picture: str, facts: RunFacts) -> str:
    """Returns the page of a study, with the picture that `draw` made."""
    content = {
        "data": rows[0]["data"],
        "tables": {
            title: None if table is None else {"columns": list(table), "rows": table.to_numpy().tolist()}
            for title, table in tables(rows, agreement).items()
        },
        "plot": svg_address(picture.encode()),
    }
    return render("truth_study_page.html.j2", facts, content)


def draw(rows: Rows, agreement: pd.DataFrame) -> str:
    """Returns an SVG: HR@1% by subject and judge, regret removed where truth judges, agreement by size."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    pooled = _over_seeds(pd.DataFrame(rows))
    removed = pooled[(pooled["metric"] == names.REGRET_REMOVED) & (pooled["subject"] != names.OPTIMUM)]
    hits = pooled[pooled["metric"] == names.HR1].pivot_table(
        index="subject", columns="judge", values="value", sort=False
    )
    widths = [3, 2, 2] if len(removed) else [3, 2]
    size = (4.0 * len(widths), 1.5 + 0.2 * max(len(hits), 15))
    with mpl.rc_context({"svg.hashsalt": "truth_study", "font.size": 8}):
        figure, axes = plt.subplots(1, len(widths), figsize=size, layout="constrained", width_ratios=widths)
        for place, judge in enumerate(JUDGES):
            if judge in hits:
                colour = f"C{place}"  # a judge has the same one whichever judges are missing
                axes[0].plot(hits[judge], hits.index, "o", ms=4, alpha=0.7, color=colour, label=judge)
        axes[0].set(xlim=(0, 1.02), xlabel="HR@1%")
        figure.legend(loc="outside upper left", ncols=len(JUDGES), frameon=False)
        if len(removed):
            errors = [removed["value"] - removed["low"], removed["high"] - removed["value"]]
            axes[1].errorbar(removed["value"], removed["subject"], xerr=errors, fmt="o", markersize=4)
            axes[1].set(xlabel="regret removed, in truth")
        for of_subjects in axes[:-1]:
            of_subjects.invert_yaxis()
            of_subjects.grid(alpha=0.3)
        for column in (names.RANK_CORRELATION, "hr1_of_best"):
            axes[-1].plot(agreement["members"], agreement[column], marker="o", label=column)
        axes[-1].set(xlabel="members of each of two ensembles", xticks=agreement["members"], ylim=(0, 1.02))
        axes[-1].legend()
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
        plt.close(figure)
    return buffer.getvalue()


def _over_seeds(table: pd.DataFrame) -> pd.DataFrame:
    """Returns the averages over seeds with the number of seeds; of further arms, generators and teachers."""
    averages: pd.DataFrame = table[
        (table["seed"] == ALL) & ~table["subject"].str.fullmatch(r"\w+\.(beam\d+|exact_miner)")
    ]
    seeds = table[table["seed"] != ALL].groupby("subject")["seed"].nunique()
    return averages.assign(seeds=averages["subject"].map(seeds))


def _by_judge(pooled: pd.DataFrame, metric: str, form: str) -> pd.DataFrame | None:
    """Returns a metric's values with their intervals, a row a subject and a column a judge; None for none."""
    chosen = pooled[pooled["metric"] == metric]
    if chosen.empty:
        return None
    cells = [
        bracketed(form, value, low, high)
        for value, low, high in zip(chosen["value"], chosen["low"], chosen["high"], strict=True)
    ]
    wide = chosen.assign(cell=cells).pivot_table(
        index=["subject", "seeds"], columns="judge", values="cell", aggfunc="first", sort=False
    )
    ordered = wide[[judge for judge in JUDGES if judge in wide]].fillna("–")
    return ordered.reset_index().replace({"seeds": {0: "–"}})


def bracketed(form: str, value: float, low: float, high: float) -> str:
    """Returns a figure with its interval, each in a form such as `{:.3f}`."""
    return f"{form.format(value)} [{form.format(low)}, {form.format(high)}]"


def markdown_table(table: pd.DataFrame) -> str:
    """Returns a table as Markdown, without its index."""
    lines = [list(map(str, table.columns)), ["---"] * len(table.columns)]
    lines += [list(map(str, row)) for row in table.itertuples(index=False)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
