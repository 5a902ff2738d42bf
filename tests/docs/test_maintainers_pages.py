"""The pages for maintainers quote and name the code as it is, line by line and word by word."""

import re
from pathlib import Path

import pytest
from how_to_pages import Block, blocks

import project_runs

PAGES = sorted((project_runs.SOURCE / "docs" / "how-to" / "maintain").glob("*.md"))
QUOTES = [
    pytest.param(block, id=f"{page.stem}{place}")
    for page in PAGES
    for place, block in enumerate(blocks(page))
    if block.language != "sh"
]


def test_there_are_pages_with_quotes() -> None:
    assert len(QUOTES) >= len(PAGES) > 0


@pytest.mark.parametrize("block", QUOTES)
def test_a_quote_is_in_its_file_line_by_line_and_in_that_order(block: Block) -> None:
    first, *quoted = block.text.splitlines()
    lines = iter((project_runs.SOURCE / first.removeprefix("# ")).read_text("utf-8").splitlines())
    assert quoted
    for line in quoted:
        assert line in lines, f"{first} has no such line, or has it earlier: {line!r}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_name_on_a_page_is_in_the_project(page: Path) -> None:
    folders = ("src", "tests", "conf", "dags")
    found = (file for folder in folders for file in (project_runs.SOURCE / folder).rglob("*"))
    files = [file for file in found if file.suffix in (".py", ".yml")]
    words = set(re.findall(r"\w+", "\n".join(file.read_text("utf-8") for file in files)))
    named = set(re.findall(r"`([A-Za-z]\w+)`", page.read_text("utf-8")))
    assert named
    assert named <= words | {file.stem for file in files}
