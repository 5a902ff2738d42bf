"""Subjects, judges and metrics are named in one module, and all other code refers to it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import project_runs
from degre_pipeline.judging import names

PACKAGE = Path(names.__file__).parents[1]

LOWER_ROOMS = {"reranker", "simulation"}
"""Cannot import the names; what they share with them, the names take from them."""

COMMON = {"by_", "clicks", "lists", "log", "loss", "epoch"}
"""Names that are columns, datasets or plain words as well; these are not searched for."""

OTHER_MEANINGS = {
    "hooks/later_steps.py": ["mining", "mining"],  # the pipeline
    "judging/diagnostics/generator_gap.py": ["value_lost"],  # a field
    "judging/diagnostics/mined.py": ["beam"],  # the strategy
    "judging/study/arms.py": ["beam"],  # of a size
    "judging/study/study_config.py": ["mining"],  # settings
    "pipelines/generator_distillation/nodes.py": ["mined"],  # a word
    "pipelines/truth_study/nodes.py": ["beam"],  # the strategy
    "release/gate/log_rules.py": ["optimism"],  # the rule
    "release/gate/rules.py": ["ranking_order"],  # the rule
    "reports/diagnostic_plots.py": ["optimism", "optimism"],  # a label, as the following ones
    "reports/evaluation_page.py": ["generator"],
    "reports/evaluation_tables.py": ["regret", "regret", "ties", "utility"],
    "reports/numbers.py": ["generator", "truth"],
    "serving/model/reranking_model.py": ["generator"],  # in an error
}
"""By file, the words in it that are spelled like a name and are none."""


def known_names() -> set[str]:
    """Returns every string that the module gives a name, alone or in a collection."""
    known: set[str] = set()
    for name, value in vars(names).items():
        if name.isupper():
            known |= set(
                value.values() if isinstance(value, dict) else [value] if isinstance(value, str) else value
            )
    return known - COMMON


def bare_names(source: str, known: set[str]) -> Iterator[str]:
    """Yields the known names in a source that are spelled out, and the beginnings that f-strings complete."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and node.value in known:
            yield node.value
        elif isinstance(node, ast.JoinedStr) and isinstance(node.values[0], ast.Constant):
            start = node.values[0].value
            if (
                re.fullmatch(r"\w\w+", start)
                and start not in known
                and any(name.startswith(start) for name in known)
            ):
                yield start


def searched_files() -> list[Path]:
    return [
        file
        for file in sorted(PACKAGE.rglob("*.py"))
        if file.relative_to(PACKAGE).parts[0] not in LOWER_ROOMS
        and file.name != "pipeline.py"  # names datasets
        and file != Path(names.__file__)
    ]


def test_no_other_module_spells_a_name_out() -> None:
    known = known_names()
    found = {
        file.relative_to(PACKAGE).as_posix(): sorted(bare_names(file.read_text("utf-8"), known))
        for file in searched_files()
    }
    assert {file: words for file, words in found.items() if words} == OTHER_MEANINGS


@pytest.mark.parametrize(
    "source",
    ['row["metric"] == "regret"', 'f"hr{percent}"', 'f"utility_over_{other}"', '{"generator": lists}'],
)
def test_the_search_finds_what_is_spelled_out(source: str) -> None:
    assert list(bare_names(source, known_names()))


def test_prose_is_no_name() -> None:
    source = '"""The regret, truth and generator."""\nx = f"the {generator}"  # regret'
    assert not list(bare_names(source, known_names()))


def test_the_reference_has_every_metric() -> None:
    page = (project_runs.SOURCE / "docs" / "reference" / "catalog.md").read_text("utf-8")
    assert [metric for metric in names.METRICS if f"`{metric}`" not in page] == []


def test_no_two_metrics_have_one_name() -> None:
    assert len(names.METRICS) == len(set(names.METRICS))
