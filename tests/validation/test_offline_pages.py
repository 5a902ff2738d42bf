"""Data Docs without another host: what Great Expectations writes, after the project has been over it."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from degre_pipeline.validation import TableValidator
from degre_pipeline.validation.validator import InvalidTableError

EVIL = "a<script src='https://example.org/x.js'></script>b"
LOADING = {"script", "link", "img", "iframe", "object", "embed", "audio", "video", "source", "base"}


class Page(HTMLParser):
    """Tags, links and text of a page."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.events: set[str] = set()
        self.text = ""
        self.feed(file.read_text("utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.events |= {name for name, _ in attributes if name.startswith("on")}
        self.links += [value or "" for name, value in attributes if tag == "a" and name == "href"]

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages about a table that passed and one that did not."""
    folder = tmp_path_factory.mktemp("project") / "data docs"
    TableValidator("users", str(folder)).validate(pd.DataFrame({"user_id": [1, 2]}))
    with pytest.raises(InvalidTableError):
        TableValidator("items", str(folder)).validate(pd.DataFrame({"item_id": [EVIL, EVIL]}))
    return folder


def test_no_page_loads_or_runs_anything(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) >= 9
    for file in pages:
        page, text = Page(file), file.read_text("utf-8")
        assert page.tags & LOADING == set(), file
        assert page.events == set(), file
        assert re.findall(r"https?:|@import|url\(", text) == [], file
        assert text.count("Content-Security-Policy") == 1, file


def test_the_index_says_what_was_found_and_leads_to_it(site: Path) -> None:
    index = Page(site / "index.html")
    rows = [" ".join(row.split()) for row in index.text.split("passed")]
    assert "failed items 2 of 3" in " ".join(index.text.split())
    assert [row.split()[0] for row in rows[1:]] == ["items_columns", "users", "users_columns"]
    pages = [site / link.replace("%20", " ") for link in index.links]
    assert len(pages) == 8
    assert all(page.is_file() for page in pages)


def test_a_page_still_says_what_is_asked_and_what_was_found(site: Path) -> None:
    (page,) = (site / "validations" / "items").rglob("*.html")
    text = " ".join(Page(page).text.split())
    assert "Failed" in text
    assert "item_id occurs once 2 unexpected values found. 100% of 2 total rows" in text


def test_pages_that_are_written_again_stay_as_they_are(site: Path) -> None:
    before = (site / "index.html").read_text("utf-8")
    with pytest.raises(InvalidTableError):
        TableValidator("items", str(site)).validate(pd.DataFrame({"item_id": [1, 1]}))
    after = (site / "index.html").read_text("utf-8")
    assert after.count("<style>") == before.count("<style>") == 1
