"""Says in words what a validation found: the broken rule, its offending rows and their number."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from great_expectations.core import ExpectationSuiteValidationResult, ExpectationValidationResult


def describe_failures(
    frame: pd.DataFrame, result: "ExpectationSuiteValidationResult", keys: Sequence[str]
) -> list[str]:
    """Return one line a broken rule.

    Args:
        frame: What was validated.
        result: What the validation found.
        keys: Columns that name a row.
    """
    return [_describe(frame, one, keys) for one in result.results if not one.success]


def _describe(frame: pd.DataFrame, one: "ExpectationValidationResult", keys: Sequence[str]) -> str:
    config = one.expectation_config
    if config is None:
        raise RuntimeError(f"Great Expectations returned a result without its expectation: {one}")
    rule = config.description or config.type
    found = one.result or {}
    if found.get("unexpected_count"):
        shown = [*keys, *(name for name in _columns(config.kwargs) if name not in keys)]
        rows = [_row(frame, position, shown) for position in found["partial_unexpected_index_list"]]
        more = ", ..." if found["unexpected_count"] > len(rows) else ""
        count = f"{found['unexpected_count']} of {found['element_count']} rows"
        return f"allowed: {rule}; found: {', '.join(rows)}{more} ({count})"
    if "observed_value" in found:
        return f"allowed: {rule}; found: {found['observed_value']}"
    return f"allowed: {rule}; found: {_exception(one)}"


def _columns(settings: Mapping[str, Any]) -> list[str]:
    """Return the columns that an expectation looks at."""
    single = [settings[name] for name in ("column", "column_A", "column_B") if name in settings]
    return single + list(settings.get("column_list", ()))


def _row(frame: pd.DataFrame, position: int, columns: Sequence[str]) -> str:
    return "{" + ", ".join(f"{name}: {_plain(frame[name].iloc[position])!r}" for name in columns) + "}"


def _plain(value: Any) -> Any:
    """Return a NumPy number as a Python one, which prints without its type."""
    return value.item() if hasattr(value, "item") else value


def _exception(one: "ExpectationValidationResult") -> str:
    """Return the message of an error inside the check; it may be nested by metric."""
    info = one.exception_info or {}
    for candidate in (info, *info.values()):
        if isinstance(candidate, Mapping) and candidate.get("exception_message"):
            return f"the check failed: {candidate['exception_message']}"
    return "no details"
