"""Single expectations with a sentence each: what is allowed, for the reports and for the error."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from great_expectations.expectations import Expectation

LARGEST = float(np.finfo(np.float64).max)


# Great Expectations takes seconds to import, hence inside the functions: only a validated table pays.


def has_rows() -> "Expectation":
    """Expect one row or more."""
    from great_expectations import expectations as gx

    return gx.ExpectTableRowCountToBeBetween(min_value=1, description="the table has one row or more")


def kind_in(column: str, kinds: Sequence[str]) -> "Expectation":
    """Expect one of these kinds of values; to be asked of `column_kinds`."""
    from great_expectations import expectations as gx

    allowed = " or ".join(kinds)
    return gx.ExpectColumnValuesToBeInSet(
        column=column, value_set=list(kinds), description=f"{column} holds values of the kind {allowed}"
    )


def never_missing(column: str, sentence: str | None = None) -> "Expectation":
    """Expect a value in every row."""
    from great_expectations import expectations as gx

    return gx.ExpectColumnValuesToNotBeNull(
        column=column, description=sentence or f"{column} is never missing"
    )


def unique(*columns: str) -> "Expectation":
    """Expect every combination of the columns' values at most once."""
    from great_expectations import expectations as gx

    if len(columns) == 1:
        return gx.ExpectColumnValuesToBeUnique(column=columns[0], description=f"{columns[0]} occurs once")
    names = " and ".join(columns)
    return gx.ExpectCompoundColumnsToBeUnique(
        column_list=list(columns), description=f"each combination of {names} occurs once"
    )


def one_of(column: str, allowed: Sequence[Any]) -> "Expectation":
    """Expect one of these values wherever there is a value."""
    from great_expectations import expectations as gx

    return gx.ExpectColumnValuesToBeInSet(
        column=column, value_set=list(allowed), description=f"{column} is one of {list(allowed)}"
    )


def between(
    column: str, low: float = -LARGEST, high: float = LARGEST, *, sentence: str | None = None
) -> "Expectation":
    """Expect finite values between these bounds, both allowed, wherever there is a value."""
    from great_expectations import expectations as gx

    floor = "" if low == -LARGEST else f", not below {low:g}"
    ceiling = "" if high == LARGEST else f", not above {high:g}"
    return gx.ExpectColumnValuesToBeBetween(
        column=column,
        min_value=low,
        max_value=high,
        description=sentence or f"{column} is finite{floor}{ceiling}",
    )


def equal(column: str, other: str, sentence: str) -> "Expectation":
    """Expect the two columns to agree in every row."""
    from great_expectations import expectations as gx

    return gx.ExpectColumnPairValuesToBeEqual(column_A=column, column_B=other, description=sentence)


def greater(column: str, other: str, sentence: str, *, or_equal: bool = False) -> "Expectation":
    """Expect the first column to exceed (or reach) the second in every row where both are known."""
    from great_expectations import expectations as gx

    return gx.ExpectColumnPairValuesAToBeGreaterThanB(
        column_A=column,
        column_B=other,
        or_equal=or_equal,
        ignore_row_if="either_value_is_missing",
        description=sentence,
    )
