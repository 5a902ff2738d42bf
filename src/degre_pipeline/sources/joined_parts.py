"""Joins the parts of a table, with one type a column that is decided before any value is read."""

import logging
from collections.abc import Mapping

import pandas as pd
import pyarrow as pa

from degre_pipeline.sources.column_families import LIST, NESTED, family_of, read_as, shared_family
from degre_pipeline.sources.plain_columns import as_series

logger = logging.getLogger(__name__)


def joined_parts(table: str, parts: Mapping[str, pa.Table], wanted: Mapping[str, str]) -> pd.DataFrame:
    """Returns the rows of all parts, one part after another.

    A column that a part lacks is missing there. A column that nobody wants is left out where it holds lists,
    structs or the like, or cannot be read.

    Args:
        table: The table's name, for errors.
        parts: Rows by the name of the part, columns under the request log's names.
        wanted: The kind of every declared column, and "" for the request log's own.
    Raises: ValueError: If a wanted column cannot be read, or its parts have nothing in common.
    """
    columns: dict[str, pd.Series] = {}
    left_out = []
    for name in dict.fromkeys(name for rows in parts.values() for name in rows.column_names):
        try:
            columns[name] = _column(name, parts, wanted.get(name))
        except (ValueError, pa.ArrowException) as error:
            if name in wanted:
                raise ValueError(f"Column '{table}.{name}' cannot be read: {error}") from error
            left_out.append(name)
    if left_out:
        logger.info("Table %s: the columns %s are left out; no field could read them.", table, left_out)
    return pd.DataFrame(columns)


def _column(name: str, parts: Mapping[str, pa.Table], kind: str | None) -> pd.Series:
    stored = {
        part: rows[name] if name in rows.column_names else pa.chunked_array([pa.nulls(len(rows))])
        for part, rows in parts.items()
    }
    families = {part: family_of(values.type) for part, values in stored.items()}
    family = shared_family(families)
    if family in NESTED and not (family == LIST and kind == "tags"):
        types = {str(values.type) for values in stored.values()}
        raise ValueError(
            f"it holds {' and '.join(sorted(types))}; allowed: a single value, or a list for tags"
        )
    return as_series(read_as(family, list(stored.values())), name)
