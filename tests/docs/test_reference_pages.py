"""The pages say what the code and the configuration say: links, datasets, settings and their values."""

import importlib
import operator
import re
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields
from itertools import groupby
from pathlib import Path
from typing import Any

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
        _find(name, (PROJECT / page).parent / target)


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


def test_configuration_page_has_every_setting_with_its_value():
    text = (DOCS / "reference" / "configuration.md").read_text()
    documented = {}
    for section in re.split(r"^## ", text, flags=re.M)[1:]:
        name, _, body = section.partition("\n")
        for part in re.split(rf"^(?=`{name}\.)", body, flags=re.M):
            title = re.match(rf"`({name}\.\w+)`", part)
            if name != "Other files" and not part.startswith("`list_building.fields`"):
                documented |= {f"{title[1] if title else name}.{row[0]}": row[1:3] for row in _rows(part)}

    assert documented == _settings_with_values(text)


def _settings_with_values(page: str) -> dict[str, list[str]]:
    """Returns the texts of the base and the ml1m value of every setting of the files and classes."""
    base, ml1m = (_parameters(env) for env in ("base", "ml1m"))
    targets = dict(DEFINITION.findall(page))
    titles = re.findall(r"^`(\w+\.\w+)`:.*?" + LINKED_NAME.pattern, page, flags=re.M)
    classes = {title: _find(name, DOCS / "reference" / targets[name]) for title, name in titles}
    values = {}
    for section, groups in base.items():
        for group, content in groups.items():
            name, other = f"{section}.{group}", ml1m.get(section, {})
            if name == "list_building.fields":
                continue
            if not isinstance(content, dict):
                values[name] = [_shown(content), _shown(other[group]) if group in other else ""]
                continue
            for field in fields(classes[name]):
                own = other.get(group, {})
                values[f"{name}.{field.name}"] = [
                    _shown(content[field.name]) if field.name in content else f"({_shown(_default(field))})",
                    _shown(own[field.name]) if field.name in own else "",
                ]
    return values


def _parameters(env: str) -> dict[str, Any]:
    read: dict[str, Any] = {}
    for path in (PROJECT / "conf" / env).glob("parameters_*.yml"):
        read |= yaml.safe_load(path.read_text())
    return read


def _default(field: Field[Any]) -> Any:
    return field.default_factory() if field.default_factory is not MISSING else field.default


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict) and value:
        return ", ".join(name for name, own in value.items() if own is not None)
    return f"{value:g}" if isinstance(value, float) else str(value)


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


def _find(name: str, file: Path) -> Any:
    """Returns what a dotted name means, of which the first words are the end of the file's own path."""
    module = ".".join(file.resolve().relative_to(PROJECT / "src").with_suffix("").parts)
    found = importlib.import_module(module)
    words = name.split(".")
    while words and not module.endswith("." + ".".join(words)):
        words.pop()
    assert words, f"{name} does not begin with the end of {module}"
    inside = name.split(".")[len(words) :]
    return operator.attrgetter(".".join(inside))(found) if inside else found
