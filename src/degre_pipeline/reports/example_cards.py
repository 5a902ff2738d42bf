"""The example lists, arranged for the page: requests, and the subjects' lists side by side."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import pandas as pd

from degre_pipeline.judging import names
from degre_pipeline.judging.examples import FIXED_COLUMNS
from degre_pipeline.reports.numbers import JUDGE_LABELS, SUBJECT_LABELS, number

ITEM_COLUMNS = 3
"""Columns of the item table that the page has room for: the first ones."""


class ExampleSlot(NamedTuple):
    """One placed item: what it is, its expected clicks, and `clicked`, `shown` or nothing in the log."""

    item: str
    attributes: str
    value: str
    log: str


@dataclass(frozen=True)
class ExampleList:
    """One subject's list, its expected clicks, and how much that is over the ranking order's."""

    subject: str
    value: str
    gain: str
    slots: Sequence[ExampleSlot]


@dataclass(frozen=True)
class Example:
    """One request and everybody's list for it."""

    chosen_for: str
    request: str
    user: str
    judge: str
    lists: Sequence[ExampleList]


def examples_of(example_lists: pd.DataFrame) -> list[Example]:
    """Returns the requests in the order of the table, each with its lists in the order of reading."""
    return [_example(rows) for _, rows in example_lists.groupby("request_id", sort=False)]


def _example(rows: pd.DataFrame) -> Example:
    first = rows.iloc[0]
    values = rows.drop_duplicates("subject").set_index("subject")["list_value"].astype(float).to_dict()
    base = values.get(names.RANKING_ORDER, math.nan)
    return Example(
        chosen_for=str(first["chosen_for"]),
        request=str(first["request_id"]),
        user=str(first["user_id"]),
        judge=JUDGE_LABELS[str(first["judge"])],
        lists=[
            ExampleList(
                subject=label,
                value=number(values[subject]),
                gain="" if subject == names.RANKING_ORDER else number(values[subject] - base, signed=True),
                slots=_slots(rows[rows["subject"] == subject].sort_values("slot")),
            )
            for subject, label in SUBJECT_LABELS.items()
            if subject in values
        ],
    )


def _slots(rows: pd.DataFrame) -> list[ExampleSlot]:
    columns = [name for name in rows.columns if name not in FIXED_COLUMNS][:ITEM_COLUMNS]
    return [
        ExampleSlot(
            item=str(row["item_id"]),
            attributes=", ".join(text for text in (_text(row[name]) for name in columns) if text),
            value=number(float(row["slot_value"]), 2),
            log={0.0: "shown", 1.0: "clicked"}.get(float(row["click"]), ""),
        )
        for row in rows.to_dict("records")
    ]


def _text(value: Any) -> str:
    """Returns an attribute as text, nothing where it is missing."""
    if pd.isna(value):
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value)
