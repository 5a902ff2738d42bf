"""Ends a run before the first costly node, where an error is certain to end it later."""

import errno
import shutil
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from degre_pipeline.hooks.every_pipeline import ALL, every_pipeline
from degre_pipeline.hooks.flat_parameters import flatten
from degre_pipeline.hooks.later_steps import COSTLY, check_later_steps
from degre_pipeline.hooks.missing_inputs import check_inputs
from degre_pipeline.hooks.training_processes import writes_here

LEAST_FREE_BYTES = 200 * 2**20
"""A run of the smallest data writes that much, with MLflow's copies."""
_MODEL_NAME = "params:registration.model_name"
_IN_TURN = "one MLflow run records what nodes do, one after the other"
_OTHER_RUNNERS = ("ParallelRunner", "ThreadRunner")


class FirstChecksHook:
    """Checks, in this order and within a second or two.

    - before a run is opened: the runner, the settings of all daily pipelines (a step of a workflow answers
      for those after it, too), that the data to be read exist, room on the disk, and MLflow's registry;
    - before the first training: that later pipelines can work with the data and with one another's settings.
    """

    def __init__(self) -> None:
        """Start without a run."""
        self._context: KedroContext | None = None
        self._settings: dict[str, Any] = {}
        self._checked_later_steps = False

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Remember where the settings are."""
        self._context = context

    @hook_impl(wrapper=True)
    def before_pipeline_run(
        self, run_params: dict[str, Any], pipeline: Pipeline, catalog: DataCatalog
    ) -> Generator[None, None, None]:
        """Check before other hooks open the run.

        Raises: ValueError, DatasetError or ParameterValidationError if something is wrong; OSError if the
            disk is full.
        """
        check_runner(run_params.get("runner"))
        self._checked_later_steps = False
        pipelines = every_pipeline(run_params)
        self._settings = self._checked_settings(pipelines, run_params)
        check_inputs(pipeline, catalog, pipelines, run_params)
        check_free_disk(_data_folder(Path(run_params["project_path"])))
        if _MODEL_NAME in pipeline.inputs() and writes_here():
            _check_registry(self._settings)
        return (yield)

    @hook_impl
    def before_node_run(self, node: Node, catalog: DataCatalog, is_async: bool) -> None:
        """Check once, before the first node that trains or mines. Raises: ValueError."""
        if is_async:
            raise ValueError(f"is_async is on; allowed: off, the default: {_IN_TURN}")
        if node.namespace in COSTLY and not self._checked_later_steps:
            check_later_steps(catalog, self._settings)
            self._checked_later_steps = True

    def _checked_settings(
        self, pipelines: Mapping[str, Pipeline], run_params: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Returns the parameters with every typed one built; Kedro builds those of the run alone."""
        from kedro.validation.parameter_validator import ParameterValidator

        assert self._context is not None
        names = {*(run_params.get("pipeline_names") or []), ALL}
        # Under other names, because Kedro passes over the one that it gives to the daily ones together.
        validator = ParameterValidator({f"asked {name}": pipelines[name] for name in names})
        settings = validator.validate_raw_params(self._context.config_loader["parameters"])
        check_devices(settings)
        return settings


def check_runner(runner: str | None) -> None:
    """Raises ValueError for a runner that runs nodes side by side."""
    name = next((name for name in _OTHER_RUNNERS if name in str(runner)), None)
    if name is not None:
        raise ValueError(f"runner is {name}; allowed: SequentialRunner, the default: {_IN_TURN}")


def _data_folder(project_path: Path) -> Path:
    """Returns where data lie, which may be another disk's; the project's folder before there are any."""
    folder = project_path / "data"
    return folder if folder.is_dir() else project_path


def check_free_disk(folder: Path, least: int = LEAST_FREE_BYTES) -> None:
    """Raises OSError if there is hardly any room on the folder's disk."""
    free = shutil.disk_usage(folder).free
    if free < least:
        message = f"No space left on device: {free >> 20} MiB are free; a run needs {least >> 20} MiB or more"
        raise OSError(errno.ENOSPC, message, str(folder))


def check_devices(settings: Mapping[str, Any]) -> None:
    """Raises ValueError for a setting `device` that this machine does not have."""
    from degre_pipeline.reranker.training.loop import choose_device

    for name, value in flatten(settings).items():
        if name.rpartition(".")[2] == "device":
            try:
                choose_device(value)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from error


def _check_registry(settings: Mapping[str, Any]) -> None:
    from degre_pipeline.release.registry import check_registry

    registration = settings["registration"]
    check_registry(registration["model_name"], (settings["ingestion"]["source"], registration["data"]))
