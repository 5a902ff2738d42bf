import html

import pytest

from degre_pipeline.reports.gate_page import render_gate_report
from small_run import RUN

FACTS = {
    "version": 2,
    "training_first_day": "2026-01-20",
    "training_last_day": None,
    "invalid_lists": 0,
    "latency_ms": 4.25,
    "size_bytes": 1234,
    "problem": "",
}
FINDING = {
    "rule": "non_inferiority",
    "about": "clicks a list by truth",
    "verdict": "hold",
    "reason": "the interval reaches below",
    "measured": -0.0123,
    "low": -0.0456,
    "high": 0.0789,
    "limit": -0.02,
    "distance": -0.0256,
}


@pytest.fixture
def decision():
    return {
        "model": "reranker",
        "outcome": "hold",
        "first": False,
        "decided_by": FINDING,
        "findings": [FINDING],
        "slice": {
            "sha256": "ab" * 32,
            "first_day": "2026-01-31",
            "last_day": "2026-01-31",
            "requests": 80,
        },
        "challenger": FACTS,
        "champion": {**FACTS, "version": 1, "problem": "it has <gone>"},
        "reference": None,
    }


def test_says_which_rule_decided_and_by_how_much(decision):
    page = html.unescape(render_gate_report(decision, "2026-01-31", RUN))
    assert "Hold for a person: reranker, version 2" in page
    assert "Compared with the champion, version 1." in page
    assert "Decided by <b>non_inferiority</b>, clicks a list by truth" in page
    assert "Distance to the limit: -0.0256" in page
    assert "[-0.0456, 0.0789]" in page
    assert "ab" * 32 in page


def test_a_first_version_is_marked_as_first(decision):
    found = {**FINDING, "low": None, "high": None, "limit": None, "distance": None, "measured": None}
    first = {**decision, "first": True, "champion": None, "findings": [found], "decided_by": found}
    page = html.unescape(render_gate_report(first, "2026-01-31", RUN))
    assert "First: there is no champion to compare with" in page
    assert "Distance" not in page.split("<h2>")[0]


def test_data_are_escaped_and_the_page_is_ascii(decision):
    page = render_gate_report(decision, "2026-01-31", RUN)
    assert "it has &lt;gone&gt;" in page
    assert page.isascii()
    assert "http" not in page
