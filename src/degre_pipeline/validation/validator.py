"""The classes that the catalog's `validator:` key names."""

import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pandas as pd

from degre_pipeline.validation.column_kinds import column_kinds
from degre_pipeline.validation.data_docs import build_site, run_expectations
from degre_pipeline.validation.expectations import kind_in
from degre_pipeline.validation.failures import describe_failures
from degre_pipeline.validation.suites import SUITES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from great_expectations.expectations import Expectation


class InvalidTableError(ValueError):
    """A table breaks a rule of its suite."""


class TableValidator:
    """Checks one table against its suite and keeps the result as a page of the Data Docs site.

    In the catalog (a path under the key `path` is taken from the project's folder)::

        requests:
          type: degre_pipeline.datasets.TableDataset
          filepath: data/02_intermediate/requests.parquet
          validator:
            class: degre_pipeline.validation.TableValidator
            "on": save
            options: {table: requests, path: data/08_reporting/data_docs}

    Kedro validates before it saves, so a table that fails is not written and the file of an earlier run
    stays as it was. A frame that has passed is not checked a second time.
    """

    _passed: ClassVar[dict[tuple[str, int], "weakref.ref[pd.DataFrame]"]] = {}

    def __init__(self, table: str, path: str = "data/08_reporting/data_docs") -> None:
        """Choose a suite.

        Args:
            table: Name of the suite.
            path: Folder of the Data Docs site.
        Raises: ValueError if there is no suite of that name.
        """
        if table not in SUITES:
            raise ValueError(f"There is no suite for the table {table!r}; allowed: {sorted(SUITES)}.")
        self._table = table
        self._suite, self._columns_suite = SUITES[table], f"{table}_columns"
        self._site = Path(path)

    def validate(self, data: Any) -> pd.DataFrame:
        """Return the table as it came.

        First its columns are checked; if they are right, its rows.

        Raises: TypeError if it is no DataFrame; InvalidTableError naming each broken rule, the first
            offending rows, what they hold and what is allowed.
        """
        if not isinstance(data, pd.DataFrame):
            raise TypeError(
                f"The table {self._table!r} is a {type(data).__name__}; allowed: a pandas DataFrame."
            )
        key = (self._table, id(data))
        if key in self._passed and self._passed[key]() is data:
            return data
        try:
            self._check_columns(data)
            self._check_rows(data)
        finally:
            build_site(self._site, (self._columns_suite, self._table))
        self._passed[key] = weakref.ref(data)
        return data

    def _check_columns(self, table: pd.DataFrame) -> None:
        kinds = column_kinds(table, self._suite.columns)
        rules = [kind_in(name, allowed) for name, allowed in self._suite.columns.items()]
        self._check(self._columns_suite, kinds, rules, keys=())

    def _check_rows(self, table: pd.DataFrame) -> None:
        derived = self._suite.derive(table.reset_index(drop=True))
        self._check(self._table, derived, self._suite.rules(), keys=self._suite.keys)

    def _check(
        self, suite: str, frame: pd.DataFrame, rules: "Sequence[Expectation]", keys: tuple[str, ...]
    ) -> None:
        result = run_expectations(frame, suite, rules, self._site)
        broken = describe_failures(frame, result, keys)
        if broken:
            raise InvalidTableError(
                f"The table {self._table!r} breaks {len(broken)} of {len(rules)} rules:\n  - "
                + "\n  - ".join(broken)
                + f"\nFull report: {self._site}/index.html"
            )


class PartValidator(TableValidator):
    """Checks one of several tables that are written together, such as the candidates of `FeatureTables`."""

    def validate(self, data: Any) -> Any:
        """Return all tables as they came. Raises: as `TableValidator`."""
        super().validate(getattr(data, self._table))
        return data


class RequestLogValidator:
    """Checks all tables of a request log before the first of them is written.

    In the catalog it hangs on the log as a whole, in memory, so that one wrong table leaves the files of all
    tables as they were and never mixes two logs.
    """

    def __init__(self, path: str = "data/08_reporting/data_docs") -> None:
        """Choose the folder of the Data Docs site."""
        self._path = path

    def validate(self, data: Any) -> Any:
        """Return the log as it came. Raises: as `TableValidator`, for the first table that breaks a rule."""
        for name, table in data.tables():
            TableValidator(name, self._path).validate(table)
        return data
