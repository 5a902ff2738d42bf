"""The rules of each table: its columns, its row keys and its expectations."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

import pandas as pd

from degre_pipeline.reranker.schema import ROLES, SPLITS
from degre_pipeline.validation.column_kinds import IDENTIFIER, LIST, NUMERIC, TEXT, TIME, WHOLE
from degre_pipeline.validation.derived_columns import (
    flat_lists,
    with_candidate_checks,
    with_exposure_checks,
)
from degre_pipeline.validation.expectations import (
    between,
    equal,
    greater,
    has_rows,
    never_missing,
    one_of,
    unique,
)

if TYPE_CHECKING:
    from great_expectations.expectations import Expectation


@dataclass(frozen=True)
class TableSuite:
    """What one table must look like.

    Attributes:
        columns: The kinds of values (see `column_kinds`) that each required column may hold.
        keys: Columns that name an offending row in an error.
        rules: Builds the expectations; called only when a table is validated.
        derive: Adds the columns that rules about whole requests need; none where there are no such rules.
    """

    columns: Mapping[str, tuple[str, ...]]
    keys: tuple[str, ...]
    rules: Callable[[], list["Expectation"]]
    derive: Callable[[pd.DataFrame], pd.DataFrame] = lambda frame: frame


def _log_rules(table: str) -> list["Expectation"]:
    """Returns what `conform` asks of a table when it is read, asked again when it is saved.

    A saved table may be another one than was read, and the Data Docs show what holds. The first key of
    candidates and exposures is left to the rules that count them.
    """
    # Imported here because Ibis is slow to import, and every command reads the catalog.
    from degre_pipeline.sources.request_log import KEYS, REQUIRED_COLUMNS

    required = [never_missing(column) for column in REQUIRED_COLUMNS[table]]
    return [has_rows(), *required, unique(*KEYS[table][-1])]


def _candidate_rules() -> list["Expectation"]:
    return [
        *_log_rules("candidates"),
        equal(
            "candidate_index",
            "expected_index",
            "candidate_index counts 0, 1, 2, ... in each request, without a gap or a repetition",
        ),
        never_missing("score_to_check", "ranking_score is there in all rows or in none"),
        between("score_to_check", sentence="ranking_score is finite"),
        between("ranking_rank", 1),
    ]


def _exposure_rules() -> list["Expectation"]:
    return [
        *_log_rules("exposures"),
        equal(
            "slot", "expected_slot", "slot counts 1, 2, 3, ... in each request, without a gap or a repetition"
        ),
        never_missing("candidate_index", "every exposed item is a candidate of its request"),
        between("candidate_index", 0),
        one_of("click", (0, 1)),
        one_of("conversion", (0, 1)),
        between("price", 0),
    ]


def _list_rules() -> list["Expectation"]:
    return [
        has_rows(),
        never_missing("request_id"),
        unique("request_id"),
        never_missing("user_id"),
        never_missing("split"),
        one_of("split", SPLITS),
        never_missing("role"),
        one_of("role", ROLES),
        equal("n_distinct_candidates", "n_candidates", "candidate_item_ids names each item once"),
        equal("n_scores", "n_candidates", "candidate_scores has one score a candidate"),
        between("n_unusable_scores", 0, 0, sentence="candidate_scores are finite, or missing in all rows"),
        between("n_exposed", 1),
        greater("n_candidates", "n_exposed", "at least as many candidates as exposed slots", or_equal=True),
        equal("n_distinct_exposed", "n_exposed", "exposed_indices names each candidate once"),
        between("min_exposed_index", 0),
        greater("n_candidates", "max_exposed_index", "exposed_indices are below the number of candidates"),
        equal("n_clicks", "n_exposed", "clicks has one outcome an exposed slot"),
        one_of("min_click", (0, 1)),
        one_of("max_click", (0, 1)),
    ]


SUITES: Mapping[str, TableSuite] = MappingProxyType(
    {
        "requests": TableSuite(
            columns={"request_id": (WHOLE,), "user_id": IDENTIFIER, "requested_at": (TIME,)},
            keys=("request_id",),
            rules=partial(_log_rules, "requests"),
        ),
        "candidates": TableSuite(
            columns={
                "request_id": (WHOLE,),
                "candidate_index": (WHOLE,),
                "item_id": IDENTIFIER,
                "ranking_score": NUMERIC,
                "ranking_rank": NUMERIC,
            },
            keys=("request_id", "candidate_index", "item_id"),
            derive=with_candidate_checks,
            rules=_candidate_rules,
        ),
        "exposures": TableSuite(
            columns={
                "request_id": (WHOLE,),
                "slot": (WHOLE,),
                "item_id": IDENTIFIER,
                "candidate_index": NUMERIC,
                "click": (WHOLE,),
                "conversion": NUMERIC,
                "price": NUMERIC,
            },
            keys=("request_id", "slot", "item_id"),
            derive=with_exposure_checks,
            rules=_exposure_rules,
        ),
        "users": TableSuite(
            columns={"user_id": IDENTIFIER},
            keys=("user_id",),
            rules=partial(_log_rules, "users"),
        ),
        "items": TableSuite(
            columns={"item_id": IDENTIFIER},
            keys=("item_id",),
            rules=partial(_log_rules, "items"),
        ),
        "lists": TableSuite(
            columns={
                "request_id": (WHOLE,),
                "user_id": IDENTIFIER,
                "split": (TEXT,),
                "role": (TEXT,),
                "candidate_item_ids": (LIST,),
                "candidate_scores": (LIST,),
                "exposed_indices": (LIST,),
                "clicks": (LIST,),
            },
            keys=("request_id",),
            derive=flat_lists,
            rules=_list_rules,
        ),
    }
)
