"""The pages for maintainers quote the code as it is: each block names its file, and every line is in it."""

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
