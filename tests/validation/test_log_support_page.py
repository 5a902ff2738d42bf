import json

from degre_pipeline.validation import LogSupportPage

FIGURES = {
    "slot_coverage": 0.1,
    "slot_entropy": 0.0,
    "in_ranking_order": 1.0,
    "lists_with_usual_clicks": 0.4,
    "candidates_without_item": 0.0,
    "requests_without_user": 0.25,
}


def test_a_page_says_what_the_log_lacks_and_stops_nothing(tmp_path) -> None:
    rows = [
        {"subject": "log", "judge": "log", "metric": name, "value": value} for name, value in FIGURES.items()
    ]
    assert LogSupportPage(str(tmp_path)).validate(rows) is rows

    (stored,) = (tmp_path / "results" / "log_support").rglob("*.json")
    held = {
        result["expectation_config"]["kwargs"]["column"]: result["success"]
        for result in json.loads(stored.read_text())["results"]
    }
    assert held == {
        "slot_coverage": False,
        "slot_entropy": False,
        "in_ranking_order": False,
        "lists_with_usual_clicks": True,
        "candidates_without_item": True,
        "requests_without_user": False,
    }
    page = "".join(path.read_text() for path in (tmp_path / "validations" / "log_support").rglob("*.html"))
    assert "the log shows every rank in every slot often enough" in page
