"""One type for an identifier in all tables: whole numbers where all have them, else text."""

import re
from collections.abc import Mapping

import pandas as pd

from degre_pipeline.reranker.tokens import token
from degre_pipeline.sources.column_types import read_column
from degre_pipeline.sources.plain_columns import is_text
from degre_pipeline.sources.request_log import IDENTIFIERS

_PADDED = re.compile(r"\s.*|.*\s|[+-]?0\d+|\+\d+")
"""A text that changes when it is read as a whole number."""


def with_shared_identifiers(tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Returns the tables with identifiers as text in all of them, where one of them has text.

    Raises: ValueError: If the texts are numbers with leading zeros or the like, which the whole numbers of
        another table have lost.
    """
    shared = dict(tables)
    for identifier, names in IDENTIFIERS.items():
        texts = [name for name in names if is_text(shared[name][identifier])]
        numeric = [name for name in names if name not in texts and _are_whole(shared[name][identifier])]
        if texts and numeric:
            _check_padding(identifier, shared, texts, numeric)
        for name in numeric if texts else ():
            as_text = shared[name][identifier].map(token, na_action="ignore").astype("str")
            shared[name] = shared[name].assign(**{identifier: as_text})
    return shared


def _are_whole(values: pd.Series) -> bool:
    """Returns whether all values are whole numbers; the check of the log names those that are not."""
    _, _, wrong = read_column(values)
    return not wrong.any()


def _check_padding(
    identifier: str, tables: Mapping[str, pd.DataFrame], texts: list[str], numeric: list[str]
) -> None:
    for name in texts:
        values = tables[name][identifier].dropna()
        padded = values[values.map(lambda text: _PADDED.fullmatch(text) is not None)]
        if len(padded):
            raise ValueError(
                f"The tables disagree on the type of {identifier!r}: {name} has the text {padded.iloc[0]!r}, "
                f"{', '.join(numeric)} have whole numbers, which lose its form; "
                "allowed: text in all tables, or whole numbers in all"
            )
