"""Data Docs that need nothing but themselves: no page asks another host for anything, or runs a script.

Great Expectations' own pages load scripts, styles and pictures of eight hosts. Without them they are bare,
and the index, which a script fills, is empty; with them, whoever holds one of the hosts can read the page.
"""

import json
import re
from collections.abc import Collection
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2

_DROPPED = re.compile(
    r"<script\b.*?</script\s*>|<style\b.*?</style\s*>|<footer\b.*?</footer\s*>|<link\b[^>]*>"
    r"|<img\b[^>]*>|<button\b[^>]*\bonclick\b.*?</button\s*>|<label\b[^>]*\bonclick\b.*?</label\s*>"
    r"|<p\b[^>]*>\s*Validation Filter:\s*</p>|<strong>Actions</strong>",
    re.DOTALL | re.IGNORECASE,
)
_FOREIGN_LINK = re.compile(r"<a\b[^>]*\bhref=[\"']?https?:[^>]*>(.*?)</a\s*>", re.DOTALL | re.IGNORECASE)
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'"
"""Says to the browser that the page loads and runs nothing: values of a table stand in it as they are."""


def make_self_contained(site: Path, suite_names: Collection[str]) -> None:
    """Rewrite the pages of some suites in place, and the index from the results kept beside the pages."""
    for name in suite_names:
        for pages in (f"expectations/{name}.html", f"validations/{name}/**/*.html"):
            for page in site.glob(pages):
                page.write_text(self_contained(page.read_text("utf-8")), "utf-8")
    (site / "index.html").write_text(self_contained(_index(site)), "utf-8")


def self_contained(page: str) -> str:
    """Return a page with one style of its own, without scripts, pictures and links to other hosts."""
    style = resources.files(__package__).joinpath("site_style.css").read_text("utf-8")
    policy = f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
    kept = _FOREIGN_LINK.sub(r"\1", _DROPPED.sub("", page))
    head, mark, rest = kept.partition("</head>")
    return f"{head}{policy}\n<style>\n{style}</style>\n{mark}{rest}"


def _index(site: Path) -> str:
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    text = resources.files(__package__).joinpath("site_index.html.j2").read_text("utf-8")
    return environment.from_string(text).render(suites=_suites(site))


def _suites(site: Path) -> list[dict[str, Any]]:
    """Return what the index says of every suite, those that failed first."""
    files = (site / "results").rglob("*.json")
    suites = [
        _suite(file.relative_to(site / "results"), json.loads(file.read_text("utf-8"))) for file in files
    ]
    return sorted(suites, key=lambda suite: (suite["success"], suite["name"]))


def _suite(file: Path, result: dict[str, Any]) -> dict[str, Any]:
    counts = result["statistics"]
    return {
        "name": result["suite_name"],
        "success": result["success"],
        "kept": counts["successful_expectations"],
        "rules": counts["evaluated_expectations"],
        "when": result["meta"]["run_id"]["run_time"][:19].replace("T", " "),
        "page": quote(f"validations/{file.with_suffix('.html').as_posix()}"),
    }
