"""The pages say what the code and the configuration say: links, datasets, settings and their values."""

import importlib
import operator
import re
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).resolve().parents[2]
DOCS = PROJECT / "docs"
PAGES = (
    "explanation/method.md",
    "explanation/deviations.md",
    "explanation/diagnostics.md",
    "reference/catalog.md",
    "reference/configuration.md",
)
CATALOG = yaml.safe_load((PROJECT / "conf" / "base" / "catalog.yml").read_text())
DEFINITION = re.compile(r"^\[`([\w.]+)`\]: (\.\./\S+)$", flags=re.M)
LINKED_NAME = re.compile(r"\[`([\w.]+)`\](?!: \.\./)")


@pytest.mark.parametrize("page", PAGES)
def test_names_of_the_code_exist_where_the_page_links_to(page):
    text = (DOCS / page).read_text()
    targets = dict(DEFINITION.findall(text))

    assert set(LINKED_NAME.findall(text)) == set(targets) != set()
    for name, target in targets.items():
        _find(name, (DOCS / page).parent / target)


@pytest.mark.parametrize("page", PAGES)
def test_links_to_pages_lead_somewhere(page):
    text = (DOCS / page).read_text()

    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert ((DOCS / page).parent / target).exists(), f"{page} links to {target}"


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
    words = name.split(".")
    while words and not module.endswith("." + ".".join(words)):
        words.pop()
    return operator.attrgetter(name.split(".", len(words))[-1])(importlib.import_module(module))
