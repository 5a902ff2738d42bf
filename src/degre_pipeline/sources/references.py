"""Whether the users and items that requests name are in their tables."""

from collections.abc import Iterable, Iterator

import pandas as pd

from degre_pipeline.reranker.schema import Field
from degre_pipeline.sources.faults import OF_KEYS
from degre_pipeline.sources.request_log import RequestLog

_GROUPS = {"users": "user", "items": "item"}


def check_references(log: RequestLog, fields: Iterable[Field]) -> None:
    """Raises ValueError if fields of a table are declared, and nothing that requests name is in it.

    Every such field would be unknown everywhere. Usually the tables write the identifier in two ways.
    """
    declared = {field.group for field in fields}
    for name, (key, table) in OF_KEYS.items():
        named, known = getattr(log, table)[key], getattr(log, name)[key]
        if _GROUPS[name] in declared and len(known) and len(named) and not named.isin(known).any():
            raise ValueError(
                f"table {table!r} names no {key} of table {name!r}: for example {_first(named)!r}, where "
                f"{name!r} has {_first(known)!r}; allowed: the same way of writing it in both, or an empty "
                f"table {name!r}"
            )


def unknown_references(log: RequestLog) -> Iterator[str]:
    """Yields a line for users and one for items that requests name and their tables lack, if any."""
    for name, (key, table) in OF_KEYS.items():
        named = getattr(log, table)[key]
        unknown = ~named.isin(getattr(log, name)[key])
        if unknown.any():
            yield (
                f"{int(unknown.sum()):,} of {len(named):,} rows of {table} name a {key} that table {name} "
                f"lacks, for example {_first(named[unknown])!r}: its fields are unknown there."
            )


def _first(values: pd.Series) -> object:
    """Returns the first value, as Python has it."""
    first: object = values.head(1).tolist()[0]
    return first
