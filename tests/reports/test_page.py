"""What every page has in common."""

import re
from dataclasses import replace
from importlib import resources

import jinja2
import pytest

from degre_pipeline.reports.page import render
from small_run import RUN

CONTENT = {"days": [], "names": {}, "gain": "", "promotions": {}, "plot": "data:,"}
TEMPLATE = "living_shop_page.html.j2"


def test_the_head_says_what_was_run_when_on_what_data_by_which_commit():
    head = " ".join(render(TEMPLATE, RUN, CONTENT).partition("</header>")[0].split())
    assert "<strong>simulated</strong>, made on 2026-01-31 12:00 UTC" in head
    assert "<code>kedro run --pipeline=evaluation</code>" in head
    assert "<code>c0ffeec0ffee</code> with changes." in head
    assert "with changes" not in render(TEMPLATE, replace(RUN, changed=False), CONTENT)


def test_text_from_a_command_cannot_become_markup():
    page = render(TEMPLATE, replace(RUN, command="kedro run --params='<script>'"), CONTENT)
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_a_page_asks_nobody_for_anything_and_has_a_dark_mode():
    page = render(TEMPLATE, RUN, CONTENT)
    assert not re.search(r"https?:|url\(|@import|<script|<link", page)
    assert "prefers-color-scheme: dark" in page
    assert page.isascii()


def test_what_a_template_names_must_be_there():
    with pytest.raises(jinja2.UndefinedError, match="promotions"):
        render(
            TEMPLATE,
            RUN,
            {name: value for name, value in CONTENT.items() if name != "promotions"} | {"days": [{"day": 1}]},
        )


def test_every_page_has_the_one_frame_and_no_colour_of_its_own():
    pages = [
        file
        for file in resources.files("degre_pipeline.reports").iterdir()
        if file.name.endswith("_page.html.j2")
    ]
    assert len(pages) >= 4
    for page in pages:
        text = page.read_text("utf-8")
        assert text.startswith('{% extends "frame.html.j2" %}'), page
        assert not re.search(r"<style|style=|#[0-9a-fA-F]{6}\b", text), page
