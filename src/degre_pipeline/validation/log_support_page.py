"""A page of the Data Docs about what the log can support; it informs, and stops nothing."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from degre_pipeline.judging import names
from degre_pipeline.judging.log_support import CONSTANT, figures_of
from degre_pipeline.reranker.support import LEAST_COVERAGE
from degre_pipeline.validation.data_docs import build_site, run_expectations
from degre_pipeline.validation.expectations import between

if TYPE_CHECKING:
    from great_expectations.expectations import Expectation

SUITE = "log_support"


class LogSupportPage:
    """Keeps what a log can support as a page of the Data Docs site, for the catalog's `validator:` key.

    A rule that does not hold is red on the page. It is the gate that decides what follows from it.
    """

    def __init__(self, path: str = "data/08_reporting/data_docs") -> None:
        """Take the folder of the Data Docs site."""
        self._site = Path(path)

    def validate(self, data: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
        """Return the rows as they came."""
        run_expectations(pd.DataFrame([figures_of(data)]), SUITE, _rules(), self._site)
        build_site(self._site, [SUITE])
        return data


def _rules() -> list["Expectation"]:
    return [
        between(
            names.SLOT_COVERAGE,
            LEAST_COVERAGE,
            1.0,
            sentence="slot_coverage: the log shows every rank in every slot often enough to compare orders",
        ),
        between(names.SLOT_ENTROPY, 0.1, 1.0, sentence="slot_entropy: slots do not follow from the score"),
        between(
            names.IN_RANKING_ORDER,
            0.0,
            0.95,
            sentence="in_ranking_order: some lists are not their ranking order",
        ),
        between(
            names.LISTS_WITH_USUAL_CLICKS,
            0.0,
            CONSTANT,
            sentence="lists_with_usual_clicks: lists differ in their number of clicks",
        ),
        between(names.CANDIDATES_WITHOUT_ITEM, 0.0, 0.0, sentence="every candidate has a row in table items"),
        between(
            names.REQUESTS_WITHOUT_USER, 0.0, 0.0, sentence="every request's user has a row in table users"
        ),
    ]
