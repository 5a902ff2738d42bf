"""The pages say what the code and the configuration say: links, datasets, settings and their values."""

import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import configuration_page
import pytest
import yaml

PROJECT = Path(__file__).resolve().parents[2]
DOCS = PROJECT / "docs"
CATALOG = yaml.safe_load((PROJECT / "conf" / "base" / "catalog.yml").read_text())
DEFINITION = re.compile(r"^\[`([\w.]+)`\]: (\.\./\S+)$", flags=re.M)
LINKED_NAME = re.compile(r"\[`([\w.]+)`\](?!: \.\./|\()")
LINK = re.compile(r"\]\(([^)#:\s]*)(?:#([^)\s]+))?\)")
HEADING = re.compile(r"^#+ (.+)$", flags=re.M)
CODE = re.compile(r"^```.*?^```$", flags=re.M | re.DOTALL)
SEPARATOR = re.compile(r"\|( ?:?-+:? ?\|)+")
CELL_END = re.compile(r"(?<!\\)\|")
"""A bar that ends a cell; in a cell it is written with a backslash before it."""

ALL_PAGES = sorted(str(page.relative_to(PROJECT)) for page in [*PROJECT.glob("*.md"), *DOCS.rglob("*.md")])
PAGES = [page for page in ALL_PAGES if LINKED_NAME.search((PROJECT / page).read_text("utf-8"))]


@pytest.mark.parametrize("page", PAGES)
def test_names_of_the_code_exist_where_the_page_links_to(page):
    text = (PROJECT / page).read_text("utf-8")
    targets = dict(DEFINITION.findall(text))

    assert set(LINKED_NAME.findall(text)) == set(targets)
    for name, target in targets.items():
        configuration_page.found(name, (PROJECT / page).parent / target)


def test_the_pages_that_name_code_are_found():
    assert {f"docs/explanation/{name}.md" for name in ("faults", "log_support", "method")} <= set(PAGES)


@pytest.mark.parametrize("page", ALL_PAGES)
def test_links_to_pages_lead_somewhere(page):
    text = (PROJECT / page).read_text("utf-8")

    for target, place in LINK.findall(text):
        file = (PROJECT / page).parent / target if target else PROJECT / page
        assert file.exists(), f"{page} links to {target}"
        assert not place or place in _places(file), f"{page} links to {target}#{place}"


@pytest.mark.parametrize("page", ALL_PAGES)
def test_tables_have_a_header_and_equally_many_cells_in_every_row(page):
    for table in _tables((PROJECT / page).read_text("utf-8")):
        assert len(table) > 1, f"{page} has a row without a header: {table[0]}"
        assert SEPARATOR.fullmatch(table[1]), f"{page} has rows without a header: {table[0]}"
        for line in table:
            assert line.endswith("|"), f"{page} has a row that goes on in the next line: {line}"
            assert len(_cells(line)) == len(_cells(table[0])), f"{page} has more or fewer cells: {line}"


def test_catalog_page_lists_every_dataset_with_its_layer_and_validator():
    rows = _rows((DOCS / "reference" / "catalog.md").read_text().split("Types:")[0])
    documented = {row[0]: (row[1], row[4]) for row in rows}

    entries = {
        name: entry
        for name, entry in CATALOG.items()
        if not name.startswith("_") and entry["type"] != "MemoryDataset"
    }
    settings = yaml.safe_load((PROJECT / "conf" / "base" / "globals.yml").read_text())
    folders = {f"folders.{name}": path for name, path in settings["folders"].items()} | settings
    expected = {name: (_layer(entry, folders), _suite(entry)) for name, entry in entries.items()}
    assert documented == expected


def test_configuration_page_says_what_docstrings_and_files_say():
    page = configuration_page.PAGE.read_text()
    told = configuration_page.generated(page)
    assert told == page, "write it anew: python tests/docs/configuration_page.py"


def test_configuration_page_has_every_setting_that_stands_alone():
    page = configuration_page.PAGE.read_text()
    sections = {section["title"] for section in configuration_page.SECTION.finditer(page)}
    alone = {row[0]: row[1:3] for row in _rows(configuration_page.SECTION.sub("", page))}
    base, ml1m = (configuration_page.parameters(env) for env in ("base", "ml1m"))
    for pipeline, groups in base.items():
        for group, content in groups.items():
            if isinstance(content, dict):
                assert f"{pipeline}.{group}" in sections
            elif f"{pipeline}.{group}" != "list_building.fields":
                other = ml1m.get(pipeline, {})
                shown = [
                    configuration_page.shown(value[group]) if group in value else ""
                    for value in (groups, other)
                ]
                assert alone[group] == shown


def _rows(text: str) -> list[list[str]]:
    """Returns the cells of table rows that begin with a name in backticks, the name without them."""
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| `")]
    return [[cells[0].strip("`"), *(cell.strip() for cell in cells[1:])] for cells in lines]


def _places(page: Path) -> set[str]:
    """Returns what follows `#` in links to the headings of a page, as GitHub makes it."""
    headings = HEADING.findall(CODE.sub("", page.read_text("utf-8")))
    words = (re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower() for heading in headings)
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in words}


def _tables(text: str) -> Iterator[list[str]]:
    """Yields the lines of every table: consecutive lines that begin with a bar, outside of code."""
    stripped = [line.strip() for line in CODE.sub("", text).splitlines()]
    for is_table, lines in groupby(stripped, lambda line: line.startswith("|")):
        if is_table:
            yield list(lines)


def _cells(line: str) -> list[str]:
    return CELL_END.split(line)


def _layer(entry: dict[str, Any], folders: dict[str, Any]) -> str:
    path = entry.get("filepath") or entry.get("path")
    if path is None:
        return "–"
    return Path(folders[re.match(r"\$\{globals:([\w.]+)\}", path)[1]]).name


def _suite(entry: dict[str, Any]) -> str:
    if "validator" not in entry:
        return "–"
    table = entry["validator"]["options"].get("table")  # what checks no table only keeps a page
    return f"`{table}`" if table else "a page alone"
