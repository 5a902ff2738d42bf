"""The tables of settings in docs/reference/configuration.md: values from conf/, meanings from docstrings.

python tests/docs/configuration_page.py   # writes them anew
"""

import importlib
import inspect
import operator
import re
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).resolve().parents[2]
PAGE = PROJECT / "docs" / "reference" / "configuration.md"
SECTION = re.compile(
    r"^`(?P<title>\w+\.\w+)`:.*?\[`(?P<name>[\w.]+)`\].*\n(?:.+\n)*\n(?P<table>(?:\|.*\n)+)", flags=re.M
)
ATTRIBUTE = re.compile(r"^ {4}(\w+): (.*\n?(?: {8}.*\n?)*)", flags=re.MULTILINE)
DEFINITION = re.compile(r"^\[`([\w.]+)`\]: (\.\./\S+)$", flags=re.M)
HEAD = "| Key | `base` | `ml1m` | class | Meaning |\n| --- | --- | --- | --- | --- |\n"


def generated(page: str) -> str:
    """Returns the page with the table of every settings class made anew."""
    base, ml1m = parameters("base"), parameters("ml1m")
    targets = dict(DEFINITION.findall(page))

    def with_table(section: re.Match[str]) -> str:
        pipeline, group = section["title"].split(".")
        if not isinstance(base[pipeline][group], dict):
            return section[0]  # the fields, a list
        declared = found(section["name"], PAGE.parent / targets[section["name"]])
        values, other = base[pipeline][group], ml1m.get(pipeline, {}).get(group, {})
        table = HEAD + "".join(map(row, rows_of(declared, values, other)))
        return section[0].removesuffix(section["table"]) + table

    return SECTION.sub(with_table, page)


def rows_of(declared: type, values: dict[str, Any], other: dict[str, Any]) -> list[list[str]]:
    """Returns name, base value, MovieLens value, default and meaning of every setting of a class."""
    meanings = meanings_of(declared)
    return [
        [
            field.name,
            shown(values[field.name]) if field.name in values else f"({shown(default(field))})",
            shown(other[field.name]) if field.name in other else "",
            "–" if default(field) is MISSING else shown(default(field)),
            meanings[field.name],
        ]
        for field in fields(declared)
    ]


def row(cells: list[str]) -> str:
    """Returns a line of a table."""
    name, *others = cells
    return f"| `{name}` | {' | '.join(others)} |\n"


def meanings_of(declared: type) -> dict[str, str]:
    """Returns what the docstring of a class, and those of its bases, say of each attribute."""
    meanings = {}
    for one in reversed(declared.__mro__):
        text = inspect.cleandoc(one.__dict__.get("__doc__") or "")
        attributes = re.search(r"^Attributes:\n((?: {4}.*\n?|\n)+)", text, flags=re.M)
        for found_one in re.finditer(
            r"^ {4}(\w+): (.*\n?(?: {8}.*\n?)*)", attributes[1] if attributes else "", re.M
        ):
            meaning = " ".join(found_one[2].split()).removesuffix(".")
            keeps_its_letter = not meaning[1:2].islower()
            meanings[found_one[1]] = meaning if keeps_its_letter else meaning[:1].lower() + meaning[1:]
    return meanings


def parameters(env: str) -> dict[str, Any]:
    """Returns all parameters of an environment as its files say them."""
    read: dict[str, Any] = {}
    for path in (PROJECT / "conf" / env).glob("parameters_*.yml"):
        read |= yaml.safe_load(path.read_text())
    return read


def default(field: Field[Any]) -> Any:
    """Returns the default of a setting."""
    return field.default_factory() if field.default_factory is not MISSING else field.default


def shown(value: Any) -> str:
    """Returns a value as the page shows it; of a mapping the names that are set."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict) and value:
        return ", ".join(name for name, one in value.items() if one is not None)
    return f"{value:g}" if isinstance(value, float) else str(value)


def found(name: str, file: Path) -> Any:
    """Returns what a dotted name means, of which the first words are the end of the file's own path."""
    module = ".".join(file.resolve().relative_to(PROJECT / "src").with_suffix("").parts)
    words = name.split(".")
    while words and not module.endswith("." + ".".join(words)):
        words.pop()
    assert words, f"{name} does not begin with the end of {module}"
    inner = name.split(".")[len(words) :]
    code = importlib.import_module(module)
    return operator.attrgetter(".".join(inner))(code) if inner else code


if __name__ == "__main__":
    PAGE.write_text(generated(PAGE.read_text()))
