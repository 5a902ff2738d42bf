import base64
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from degre_pipeline.judging.evaluation_config import EvaluationConfig
from degre_pipeline.judging.examples import FIXED_COLUMNS
from degre_pipeline.judging.names import SUBJECTS
from degre_pipeline.pipelines.evaluation.nodes import lay_out_lists, lay_out_models, write_report
from degre_pipeline.reports.numbers import SUBJECT_LABELS, estimates_of
from degre_pipeline.reports.results_table import results_table
from degre_pipeline.reports.verdicts import reference_verdict, verdicts
from small_run import RUN

OF_LISTS = ("metrics", "list_judgements", "judge_agreement", "example_lists")
OF_MODELS = (
    "mining_evaluator_history",
    "external_evaluator_history",
    "generator_history",
    "evaluator_calibration",
    "ranking_score_quality",
    "diagnostics",
    "head_choice",
)
Data = dict[str, Any]
"""What an evaluation left in the catalog, by name."""
CONFIG = EvaluationConfig(judged_requests=2, comparison_lists=1234, bootstrap_samples=77)
UTILITY = {"generator": 1.4, "beam": 1.5, "ranking_order": 1.2, "random": 0.8, "exposed": 1.0}
BEST = 1.6


class Page(HTMLParser):
    """The text, the table rows, the pictures and the addresses of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.addresses: list[str] = []
        self.tags: set[str] = set()
        self.verdicts: list[str] = []
        self.text = ""
        self._in_style = self._in_cell = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        self.verdicts += [value or "" for name, value in attrs if name == "class" and "verdict" in str(value)]
        self._in_style = tag == "style"
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self._in_cell = True
        if tag == "small" and self._in_cell:
            self.rows[-1][-1] += " "

    def handle_endtag(self, tag: str) -> None:
        self._in_cell = self._in_cell and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if not self._in_style:
            self.text += data
        if self._in_cell:
            self.rows[-1][-1] += data

    def rows_of(self, name: str) -> list[list[str]]:
        """The figures of every table row of that name."""
        return [[cell.strip() for cell in row[1:]] for row in self.rows if row and row[0] == name]


def row(subject: str, judge: str, metric: str, value: float, around: float | None = 0.1) -> dict[str, Any]:
    low, high = (None, None) if around is None else (value - around, value + around)
    return {"subject": subject, "judge": judge, "metric": metric, "value": value, "low": low, "high": high}


def metric_rows(judges: tuple[str, ...]) -> list[dict[str, Any]]:
    rows = []
    for judge in judges:
        for subject, utility in UTILITY.items():
            rows += [row(subject, judge, "utility", utility), row(subject, judge, "ties", 0.0123)]
            rows += [
                row(subject, judge, name, value)
                for name, value in (("hr1", 0.25), ("hr3", 0.5), ("hr10", 0.75))
            ]
            if judge == "truth":
                rows += [
                    row(subject, judge, "regret", BEST - utility),
                    row(subject, judge, "ndcg", utility / BEST),
                ]
            if subject != "ranking_order":
                rows.append(row(subject, judge, "utility_over_ranking_order", utility - 1.2))
        rows.append(row("generator", judge, "hr1_below_beam", 0.031, 0.05))
    rows.append(row("external", "mining", "rank_correlation", 0.654))
    models = ["mining_evaluator", "external_evaluator", *(["true_model"] if "truth" in judges else [])]
    for number, model in enumerate(models):
        for metric, value in (("r_auc", 0.71), ("pcoc", 1.02), ("rmse", 0.93), ("loss", 1.31)):
            rows.append(row(model, "clicks", metric, value + number / 1000, None))
        rows.append(row(model, "clicks", "gauc", 0.68))
        rows.append(row(model, "clicks", "gauc_over_ranking_score", 0.012, 0.05))
        rows.append(row(model, "clicks", "gauc_over_references", 0.004, 0.05))
    references = {"ranking_score": 0.668, "factor_model": 0.676, "item_mean": 0.66}
    rows += [row(name, "clicks", "gauc", value) for name, value in references.items()]
    return rows


def judgements(judges: tuple[str, ...]) -> pd.DataFrame:
    """Four requests; of the generator's lists three are better than the ranking order's and one is worse."""
    rows = [
        {
            "request_id": request_id,
            "subject": subject,
            "judge": judge,
            "value": utility + (0.0 if subject != "generator" or request_id > 1 else -0.5),
            "slot_values": np.array([0.6, 0.4]) * utility,
            "rank": 5.0 if request_id <= 2 else np.nan,
        }
        for judge in judges
        for subject, utility in UTILITY.items()
        for request_id in (1, 2, 3, 4)
    ]
    return pd.DataFrame(rows)


def calibration(models: tuple[str, ...]) -> pd.DataFrame:
    rows = [
        {"model": model, "by": by, "at": at, "predicted": at + 0.1, "observed": float(at), "lists": 10}
        for model in models
        for by in ("value", "slot", "level")
        for at in (1, 2)
    ]
    return pd.DataFrame(rows)


def history(**further: list[float]) -> pd.DataFrame:
    losses = {"epoch": [1.0, 2.0], "training_loss": [2.0, 1.0], "validation_loss": [1.5, 1.6]}
    return pd.DataFrame({**losses, **further})


def examples(judge: str, title: str = "Alpha") -> pd.DataFrame:
    rows = [
        (3, "median gain", "ann", judge, subject, slot, 40 + slot, value / 2, value, click, title, 9.5)
        for subject, value in UTILITY.items()
        for slot, click in ((1, 1.0), (2, np.nan))
    ]
    return pd.DataFrame(rows, columns=[*FIXED_COLUMNS, "title", "price"])


def diagnostics(judges: tuple[str, ...]) -> pd.DataFrame:
    places = {
        "optimism_by_decile": range(1, 11),
        "optimism_by_slot": (1, 2),
        "optimism_by_beam_size": (1, 2, 4),
        "value_by_beam_size": (1, 2, 4),
        "optimism_by_epoch": (1, 2),
        "value_by_epoch": (1, 2),
    }
    rows: list[tuple[str, str, str, float, float]] = []
    for judge in (judge for judge in judges if judge != "mining"):
        for subject, utility in UTILITY.items():
            rows.append(("optimism", subject, judge, np.nan, utility / 10))
            rows.append(("optimism_share", subject, judge, np.nan, 0.1))
        rows += [(name, "beam", judge, at, at / 10) for name, own in places.items() for at in own]
        rows += [
            ("agreement", kind, f"{judge}-mining", np.nan, 0.5) for kind in ("random", "mined", "exposed")
        ]
    rows += [("value_by_epoch", "beam", "mining", at, at / 5) for at in (1, 2)]
    for subject in UTILITY:
        rows += [(f"unlogged_{n}", subject, "log", np.nan, 0.3) for n in ("item_in_slot", "next_item")]
    for prefix in ("teachers_prefix", "own_prefix"):
        rows += [("choice_agreement", prefix, "mining", at, 0.9) for at in (1, 2)]
    rows += [("value_lost", "own_prefix", "mining", at, 0.01) for at in (1, 2)]
    table = pd.DataFrame(rows, columns=["diagnostic", "subject", "judge", "at", "value"])
    return table.assign(low=table["value"] - 0.05, high=table["value"] + 0.05)


def data(judges: tuple[str, ...]) -> Data:
    return {
        "metrics": metric_rows(judges),
        "list_judgements": judgements(judges),
        "evaluator_calibration": calibration(("mining_evaluator", "external_evaluator")),
        "mining_evaluator_history": history(),
        "external_evaluator_history": history(),
        "generator_history": history(same_list=[0.1, 0.2], same_items=[0.3, 0.4], same_first_item=[0.5, 0.6]),
        "example_lists": examples("truth" if "truth" in judges else "external"),
        "ranking_score_quality": pd.DataFrame(
            {
                "split": ["test", "train"],
                "click_auc": [0.612, 0.634],
                "exposure_auc": [0.723, 0.745],
                "exposed_items": [12345, 23456],
            }
        ),
        "judge_agreement": pd.DataFrame(
            {"request_id": [1, 2], "judges": "external-mining", "rank_correlation": [0.6, 0.7]}
        ),
        "diagnostics": diagnostics(judges),
        "head_choice": [
            {
                "head": "page_company",
                "chosen": True,
                "reason": "the least surprised",
                "surprise": 3.0234,
                "difference": -0.0213,
                "low": -0.0275,
                "high": -0.0149,
            },
            {
                "head": "company",
                "chosen": False,
                "reason": "",
                "surprise": 3.0447,
                "difference": None,
                "low": None,
                "high": None,
            },
        ],
    }


@pytest.fixture(scope="module")
def with_truth() -> Data:
    return data(("external", "mining", "truth"))


def rendered(data: Data) -> str:
    """Returns what the last three nodes of the evaluation make of its results."""
    lists, models = ({name: data[name] for name in of} for of in (OF_LISTS, OF_MODELS))
    times = pd.to_datetime(["2018-03-30 23:00", "2018-03-31 01:00"])
    requests = pd.DataFrame({"request_id": [1, 2], "requested_at": times})
    content = lay_out_lists(**lists), lay_out_models(**models)
    return write_report(data["metrics"], *content, CONFIG, requests, RUN)


@pytest.fixture(scope="module")
def html(with_truth: Data) -> str:
    return rendered(with_truth)


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def test_the_head_says_what_was_evaluated(page: Page) -> None:
    text = " ".join(page.text.split())
    assert "Log up to 2018-03-31: 4 test requests with lists of 2 slots" in text
    assert "2 of them ranked among 1,234 random lists each" in text
    assert "77 resamples" in text


def test_the_heads_that_were_compared_are_laid_out(page: Page, with_truth: Data) -> None:
    chosen = ["3.023", "-0.021 [-0.028, -0.015]", "the least surprised"]
    assert page.rows_of("page_company (chosen)") == [chosen]
    assert page.rows_of("company") == [["3.045", "-", ""]]
    assert "What the evaluators predict" not in rendered({**with_truth, "head_choice": []})


def test_the_first_table_holds_utility_gain_and_regret(page: Page) -> None:
    by_evaluator = ["1.400 [1.300, 1.500]", "+0.200 [+0.100, +0.300]"]
    truth = [*by_evaluator, "0.200 [0.100, 0.300]", "50%", "0.875 [0.775, 0.975]"]  # regret was 0.4
    assert page.rows_of("generator")[0] == [*truth, *by_evaluator, *by_evaluator]
    assert page.rows_of("ranking order")[0][:4] == ["1.200 [1.100, 1.300]", "-", "0.400 [0.300, 0.500]", "0%"]
    assert page.rows_of("random list")[0][3] == "-100%"


def test_the_other_tables_hold_their_figures(page: Page) -> None:
    hits = ["0.250 [0.15, 0.35]", "0.500 [0.40, 0.60]", "0.750 [0.65, 0.85]", "1.23%"]
    assert page.rows_of("beam search")[1] == hits * 3
    order, gap, quality = page.rows_of("mining evaluator")
    assert gap == ["0.250 [0.150, 0.350]", "0.250 [0.150, 0.350]", "+0.031 [-0.019, +0.081]"]
    gains = ["+0.012 [-0.038, +0.062]", "+0.004 [-0.046, +0.054]"]
    assert order == ["0.680 [0.580, 0.780]", *gains]
    assert quality == ["0.710", "1.020", "0.930", "1.310"]
    assert page.rows_of("true model") == [order, ["0.712", "1.022", "0.932", "1.312"]]
    assert page.rows_of("ranking score")[0] == ["0.668 [0.568, 0.768]", "-", "-"]
    assert page.rows_of("factor model") == [["0.676 [0.576, 0.776]", "-", "-"]]
    assert page.rows_of("click rate of the item")[0] == ["0.660 [0.560, 0.760]", "-", "-"]
    assert page.rows_of("external evaluator and mining evaluator") == [["0.654 [0.554, 0.754]"]]
    assert page.rows_of("train") == [["0.634", "0.745", "23,456"]]
    assert [row[0] for row in page.rows if row[0] in ("train", "test")] == ["train", "test"]


def test_optimism_stands_beside_the_judges_that_it_is_over(page: Page) -> None:
    by_judge = ["+0.150 [+0.100, +0.200]", "+10.0%"]
    assert by_judge * 2 in page.rows_of("beam search")
    assert "over truth" in page.text


def test_diagnostics_without_epochs_and_intervals_are_drawn(with_truth: Data) -> None:
    found = with_truth["diagnostics"].assign(low=np.nan, high=np.nan)
    without = found[~found["diagnostic"].str.endswith("_by_epoch")]
    page = Page(rendered({**with_truth, "diagnostics": without}))
    assert sum(address.startswith("data:") for address in page.addresses) == 13
    assert "by epoch" not in " ".join(page.text.split())
    assert "nan" not in page.text.lower().split()


def test_without_diagnostics_nothing_is_drawn_of_them(with_truth: Data) -> None:
    nothing = with_truth["diagnostics"].iloc[:0]
    page = Page(rendered({**with_truth, "diagnostics": nothing}))
    assert sum(address.startswith("data:") for address in page.addresses) == 8


def test_the_verdicts_of_truth_and_external_evaluator_come_first(page: Page) -> None:
    assert page.verdicts == ["verdict good", "verdict good", "verdict open"]
    assert page.text.index("In truth, the generator beats") < page.text.index(
        "By the external evaluator, the"
    )


def test_the_distribution_of_gains_is_told(page: Page) -> None:
    assert "Generator: better for 75% of requests, equal for 0%, worse for 25%." in page.text


def test_example_lists_stand_side_by_side(page: Page) -> None:
    assert "request 3, user ann; judge: truth" in page.text
    assert page.rows_of("1").count(["41clicked Alpha, 9.5", "0.70"]) == 1  # the generator's
    assert page.rows_of("2").count(["42 Alpha, 9.5", "0.70"]) == 1
    assert "1.400 clicks (+0.200)" in page.text


@pytest.mark.parametrize(
    ("gain", "around", "tone", "words"),
    [
        (
            0.2,
            0.1,
            "good",
            "In truth, the generator beats the ranking order: +0.200 expected clicks a list (+16.7%)",
        ),
        (-0.2, 0.1, "bad", "In truth, the generator loses to the ranking order: -0.200"),
        (0.2, 0.3, "open", "In truth, the generator cannot be told apart from the ranking order: +0.200"),
        (0.2, None, "open", "95% interval unknown."),
    ],
)
def test_the_verdict_follows_the_interval(gain: float, around: float | None, tone: str, words: str) -> None:
    rows = [
        row("ranking_order", "truth", "utility", 1.2),
        row("generator", "truth", "utility_over_ranking_order", gain, around),
        row("ranking_order", "mining", "utility", 1.2),
        row("generator", "mining", "utility_over_ranking_order", 0.5),  # it taught the generator: no verdict
    ]
    (verdict,) = verdicts(estimates_of(rows))
    assert verdict.tone == tone
    assert words in verdict.sentence


@pytest.mark.parametrize(
    ("gain", "tone", "words"),
    [
        (
            0.02,
            "good",
            "every point-wise order: GAUC 0.700, factor model 0.680, difference +0.020",
        ),
        (0.001, "open", "no better than the best point-wise order"),
        (-0.02, "bad", "worse than the best point-wise order"),
    ],
)
def test_the_evaluator_is_held_against_the_best_order_of_single_items(
    gain: float, tone: str, words: str
) -> None:
    rows = [
        row("mining_evaluator", "clicks", "gauc", 0.7, 0.01),
        row("mining_evaluator", "clicks", "gauc_over_references", gain, 0.005),
        row("ranking_score", "clicks", "gauc", 0.66, 0.01),
        row("factor_model", "clicks", "gauc", 0.68, 0.01),
        row("item_mean", "clicks", "gauc", 0.67, 0.01),
    ]
    (verdict,) = reference_verdict(estimates_of(rows))

    assert verdict.tone == tone
    assert words in verdict.sentence
    assert ("Hit rates" in verdict.sentence) == (tone != "good")
    assert reference_verdict({}) == []


@pytest.mark.parametrize(
    ("order", "coverage", "tone", "words"),
    [
        (0.2, 0.2, "good", "the generator beats the ranking order"),
        (-0.2, 1.0, "open", "would gain +0.200 expected clicks a list (+16.7%)"),
        (
            -0.2,
            1.0,
            "open",
            "The logged clicks disagree: they stand lower in its order than in the shown one",
        ),
        (0.0, 1.0, "good", "the generator beats the ranking order"),
        (0.0, 0.2, "open", "The log cannot tell: it hardly shows another order"),
    ],
)
def test_a_judge_beats_nothing_that_the_logged_clicks_do_not_bear_out(
    order: float, coverage: float, tone: str, words: str
) -> None:
    rows = [
        row("ranking_order", "external", "utility", 1.2),
        row("generator", "external", "utility_over_ranking_order", 0.2),
        row("generator", "logged_clicks", "order_over_shown", order),
        row("log", "log", "slot_coverage", coverage, None),
    ]
    (verdict,) = verdicts(estimates_of(rows))
    assert verdict.tone == tone
    assert words in verdict.sentence
    assert ("beats" in verdict.sentence) == (tone == "good")


def test_the_truth_needs_no_logged_clicks() -> None:
    rows = [
        row("ranking_order", "truth", "utility", 1.2),
        row("generator", "truth", "utility_over_ranking_order", 0.2),
        row("generator", "logged_clicks", "order_over_shown", -0.2),
    ]
    (verdict,) = verdicts(estimates_of(rows))
    assert "In truth, the generator beats" in verdict.sentence


def test_logged_clicks_have_a_table_whose_floor_is_named_after_its_feature() -> None:
    own = [
        row(subject, judge, "mrr", value)
        for judge in ("logged_clicks", "weighted_clicks")
        for subject, value in (
            ("generator", 0.61),
            ("exposed", 0.72),
            ("by_touched", 0.53),
            ("item_mean", 0.5),
        )
    ]
    own.append(row("generator", "logged_clicks", "order_over_shown", 0.012))
    log = [
        {"subject": "log", "judge": "log", "metric": name, "value": value}
        for name, value in (
            ("in_ranking_order", 1.0),
            ("slot_entropy", 0.0),
            ("slot_coverage", 0.1),
            ("lists_with_usual_clicks", 0.5),
        )
    ]
    of_report = data(("external", "mining"))
    page = Page(rendered({**of_report, "metrics": [*of_report["metrics"], *own, *log]}))
    assert page.rows_of("generator")[1] == [
        "0.610 [0.510, 0.710]",
        "0.610 [0.510, 0.710]",
        "+0.012 [-0.088, +0.112]",
    ]
    assert page.rows_of("click rate by touched") == [["0.530 [0.430, 0.630]"] * 2 + ["-"]]
    assert "nothing in this log tells what another order would have earned" in page.text


def test_without_truth_the_external_evaluator_judges() -> None:
    page = Page(rendered(data(("external", "mining"))))
    assert page.verdicts == ["verdict good", "verdict open"]
    assert "By the external evaluator, the generator beats the ranking order" in page.text
    assert page.rows_of("generator")[0] == ["1.400 [1.300, 1.500]", "+0.200 [+0.100, +0.300]"] * 2
    for word in ("truth", "true model", "the simulated shop", "removed is"):
        assert word not in page.text.lower()


def test_unknown_values_are_written_as_missing(with_truth: Data) -> None:
    judged, calibrated = with_truth["list_judgements"], with_truth["evaluator_calibration"]
    metrics = with_truth["metrics"]
    unknown = {
        **with_truth,
        "metrics": [{**r, "value": float("nan")} if r["metric"] == "ndcg" else r for r in metrics],
        "list_judgements": judged.assign(
            value=judged["value"].where(judged["subject"] != "beam"),
            slot_values=[
                np.full(2, np.nan) if s == "beam" else v for s, v in judged[["subject", "slot_values"]].values
            ],
        ),
        "evaluator_calibration": calibrated.assign(observed=np.nan, predicted=np.nan),
        "generator_history": history().assign(validation_loss=np.nan),
        "ranking_score_quality": with_truth["ranking_score_quality"].assign(click_auc=np.nan),
        "judge_agreement": with_truth["judge_agreement"].assign(rank_correlation=np.nan),
        "example_lists": with_truth["example_lists"].assign(title=None, price=np.nan),
    }
    page = Page(rendered(unknown))
    assert "nan" not in page.text.lower().split()
    assert page.rows_of("generator")[0][4] == "-"
    assert page.rows_of("test") == [["-", "0.723", "12,345"]]
    assert "Beam search: better for -" in page.text
    assert (
        sum(address.startswith("data:") for address in page.addresses) == 13
    )  # no agreement with the teacher


def test_data_cannot_become_markup(with_truth: Data) -> None:
    hostile = examples("truth", title="<script>alert('x')</script> & Amélie").assign(user_id="<b>bob</b>")
    html = rendered({**with_truth, "example_lists": hostile})
    page = Page(html)
    assert page.tags.isdisjoint({"script", "b"})
    assert "<script>alert('x')</script> & Amélie" in page.text
    assert "user <b>bob</b>" in page.text
    assert html.isascii()


def test_the_page_needs_nothing_but_itself(html: str, page: Page) -> None:
    assert {address.split(",")[0] for address in page.addresses if not address.startswith("#")} == {
        "data:image/svg+xml;base64"
    }
    assert not {"script", "link", "iframe"} & page.tags
    assert "@import" not in html
    assert "url(" not in html


def test_every_picture_is_a_drawing(page: Page) -> None:
    pictures = [address for address in page.addresses if address.startswith("data:")]
    assert len(pictures) == len(set(pictures)) == 14
    for picture in pictures:
        drawing = ElementTree.fromstring(base64.b64decode(picture.split(",")[1]))
        assert drawing.tag == "{http://www.w3.org/2000/svg}svg"


def test_the_same_results_give_the_same_page(with_truth: Data, html: str) -> None:
    assert rendered(with_truth) == html


def test_every_subject_has_a_label() -> None:
    assert set(SUBJECT_LABELS) == set(SUBJECTS)


def test_results_table_with_truth(with_truth: Data) -> None:
    sentence, blank, *lines = results_table(with_truth["metrics"]).splitlines()
    assert sentence.startswith("The mining evaluator orders the clicks of exposed lists no better than")
    assert blank == ""
    assert lines == [
        "Expected clicks in truth, with 95% intervals",
        "list           clicks a list         gain on ranking order    regret removed  "
        "HR@1% truth  HR@1% external  HR@1% mining",
        "-" * 119,
        "generator      1.400 [1.300, 1.500]  +0.200 [+0.100, +0.300]  50%             "
        "0.250        0.250           0.250",
        "beam search    1.500 [1.400, 1.600]  +0.300 [+0.200, +0.400]  75%             "
        "0.250        0.250           0.250",
        "ranking order  1.200 [1.100, 1.300]  -                        0%              "
        "0.250        0.250           0.250",
        "exposed list   1.000 [0.900, 1.100]  -0.200 [-0.300, -0.100]  -50%            "
        "0.250        0.250           0.250",
        "random list    0.800 [0.700, 0.900]  -0.400 [-0.500, -0.300]  -100%           "
        "0.250        0.250           0.250",
    ]


def test_results_table_without_truth() -> None:
    lines = results_table(metric_rows(("external", "mining"))).splitlines()[2:]
    assert lines[0] == "Expected clicks by the external evaluator, with 95% intervals"
    assert lines[1].split("  ")[-2:] == ["HR@1% external", "HR@1% mining"]
    assert lines[3] == ("generator      1.400 [1.300, 1.500]  +0.200 [+0.100, +0.300]  0.250           0.250")


def test_results_table_needs_results() -> None:
    with pytest.raises(ValueError, match="no row with metric 'utility'"):
        results_table([row("mining_evaluator", "clicks", "pcoc", 1.0)])
