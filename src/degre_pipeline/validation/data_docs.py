"""Runs a suite of expectations, and keeps its result as a page of the Data Docs site."""

import os
import shutil
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from degre_pipeline.validation.offline_pages import make_self_contained

if TYPE_CHECKING:
    from great_expectations.core import ExpectationSuiteValidationResult
    from great_expectations.data_context import EphemeralDataContext
    from great_expectations.expectations import Expectation

SHOWN_ROWS = 5
"""Offending rows kept for each failed expectation."""


def run_expectations(
    frame: pd.DataFrame,
    suite_name: str,
    expectations: Sequence["Expectation"],
    site: Path,
) -> "ExpectationSuiteValidationResult":
    """Validate a table and keep the result, in place of the one the suite had before.

    Args:
        frame: The table, with its derived columns.
        suite_name: Names the suite, its page and its result.
        expectations: What to check.
        site: Folder of the Data Docs site. Results and suites are kept in it beside the pages, so that
            the site shows what other runs have validated too.
    Returns: The result, with the index labels of up to `SHOWN_ROWS` offending rows an expectation.
    """
    import great_expectations as gx

    _forget_result(site, suite_name)
    context = _context(site)
    suite = context.suites.add_or_update(gx.ExpectationSuite(suite_name, expectations=list(expectations)))
    asset = context.data_sources.add_pandas(suite_name).add_dataframe_asset(suite_name)
    definition = context.validation_definitions.add(
        gx.ValidationDefinition(
            name=suite_name, data=asset.add_batch_definition_whole_dataframe("whole table"), suite=suite
        )
    )
    result = definition.run(
        batch_parameters={"dataframe": frame},
        # Not `unexpected_index_column_names`: it spends minutes on a large table that is wrong everywhere.
        result_format={"result_format": "SUMMARY", "partial_unexpected_count": SHOWN_ROWS},
    )
    return result


def build_site(site: Path, suite_names: Collection[str]) -> None:
    """Write the pages of some suites, with their latest results, and the index of all suites.

    Pages of other suites stay as they are. None needs another host.
    """
    from great_expectations.data_context.types.resource_identifiers import (
        ExpectationSuiteIdentifier,
        ValidationResultIdentifier,
    )

    context = _context(site)
    suites = [ExpectationSuiteIdentifier(name) for name in suite_names]
    results = [
        key
        for key in context.validation_results_store.list_keys()
        if isinstance(key, ValidationResultIdentifier) and key.expectation_suite_identifier in suites
    ]
    context.build_data_docs(resource_identifiers=suites, build_index=False)
    context.build_data_docs(resource_identifiers=results, build_index=False)
    make_self_contained(site, suite_names)


def _forget_result(site: Path, suite_name: str) -> None:
    for folder in ("results", "validations"):
        shutil.rmtree(site / folder / suite_name, ignore_errors=True)


def _context(site: Path) -> "EphemeralDataContext":
    """Return a context that keeps suites, results and pages in the site's folder and the rest in memory."""
    # Great Expectations reports its use unless told otherwise before the import.
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations as gx
    from great_expectations.data_context.types.base import DataContextConfig, ProgressBarsConfig

    memory = {"class_name": "InMemoryStoreBackend"}
    config = DataContextConfig(
        config_version=4,
        analytics_enabled=False,
        expectations_store_name="suites",
        validation_results_store_name="results",
        checkpoint_store_name="checkpoints",
        stores={
            "suites": {"class_name": "ExpectationsStore", "store_backend": _folder(site / "suites")},
            "results": {"class_name": "ValidationResultsStore", "store_backend": _folder(site / "results")},
            "checkpoints": {"class_name": "CheckpointStore", "store_backend": memory},
            "validation_definition_store": {
                "class_name": "ValidationDefinitionStore",
                "store_backend": memory,
            },
        },
        data_docs_sites={
            "data_docs": {
                "class_name": "SiteBuilder",
                "show_how_to_buttons": False,
                "store_backend": _folder(site),
                "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
            }
        },
    )
    context = gx.get_context(project_config=config, mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    return context


def _folder(path: Path) -> dict[str, Any]:
    folder = path.absolute().as_posix().replace("$", r"\$")  # a bare one would begin a variable's name
    return {"class_name": "TupleFilesystemStoreBackend", "base_directory": folder}
