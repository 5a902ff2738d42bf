"""Names the data that a run reads and no run has written yet, with the command that writes them."""

from collections.abc import Mapping
from graphlib import TopologicalSorter
from typing import Any

from kedro.io import DataCatalog, DatasetError
from kedro.pipeline import Pipeline

from degre_pipeline.datasets import FeatureTablesDataset, ShardsDataset
from degre_pipeline.hooks.catalog_files import dataset_file
from degre_pipeline.hooks.every_pipeline import ALL


def check_inputs(
    pipeline: Pipeline, catalog: DataCatalog, pipelines: Mapping[str, Pipeline], run_params: Mapping[str, Any]
) -> None:
    """Raises DatasetError for data that the run would read and that is not there, naming who writes it.

    Args:
        pipeline: What is going to run.
        catalog: Knows where data lie.
        pipelines: Every pipeline by name.
        run_params: Of the run, as Kedro hands them to hooks.
    """
    missing = _missing(pipeline, catalog)
    if not missing:
        return
    likewise = f", and likewise {', '.join(missing[1:])}" if missing[1:] else ""
    message = f"{_why(catalog, missing[0])}{likewise}"
    makers = _makers(missing, pipelines, catalog)
    if not makers:
        raise DatasetError(f"{message}; no pipeline makes it")
    raise DatasetError(f"{message}; run {' and '.join(makers)} first: `{_command(makers, run_params)}`")


def _missing(pipeline: Pipeline, catalog: DataCatalog) -> list[str]:
    """Returns the data that a pipeline reads and that are not there, by name."""
    wanted = sorted(name for name in pipeline.inputs() if not _is_parameter(name))
    return [name for name in wanted if name in catalog and not catalog.exists(name)]


def _why(catalog: DataCatalog, name: str) -> str:
    """Returns why data are missing; of shards, how many of them exist."""
    dataset = catalog[name]
    if isinstance(dataset, ShardsDataset):
        return f"{name}: {dataset.why_missing().rstrip('.')}"
    if isinstance(dataset, FeatureTablesDataset):
        return f"{name} ({dataset.why_missing()}) is not there"
    return f"{name} ({dataset_file(catalog, name)}) is not there"


def _is_parameter(name: str) -> bool:
    return name == "parameters" or name.startswith("params:")


def _makers(missing: list[str], pipelines: Mapping[str, Pipeline], catalog: DataCatalog) -> list[str]:
    """Returns the pipelines that write them and what these lack, each after those that it reads from."""
    makers: set[str] = set()
    lacking = set(missing)
    while new := {name for name, one in pipelines.items() if lacking & one.all_outputs()} - makers - {ALL}:
        makers |= new
        lacking = {name for maker in new for name in _missing(pipelines[maker], catalog)}
    before = {
        maker: {name for name in makers if pipelines[name].all_outputs() & pipelines[maker].inputs()}
        for maker in sorted(makers)
    }
    return list(TopologicalSorter(before).static_order())


def _command(makers: list[str], run_params: Mapping[str, Any]) -> str:
    words = ["kedro", "run", f"--pipelines={','.join(makers)}"]
    if run_params.get("env"):
        words.append(f"--env={run_params['env']}")
    day = (run_params.get("runtime_params") or {}).get("run_date")
    return " ".join([*words, f"--params=run_date={day}"] if day else words)
