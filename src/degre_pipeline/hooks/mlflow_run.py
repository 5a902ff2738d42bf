"""One MLflow run a `kedro run` or a workflow, in a database that does not depend on the working directory."""

import atexit
import warnings
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import mlflow
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from degre_pipeline.hooks.killed_runs import close_killed_runs, writer_tags
from degre_pipeline.hooks.mlflow_database import database_at_hand
from degre_pipeline.hooks.workflow_run import find_or_create_run, workflow_run
from degre_pipeline.locations import database_file, tracking_uri

with warnings.catch_warnings(record=True):
    # It defines an MLflow model without type hints, which MLflow's own filter would report in every command.
    from kedro_mlflow.framework.hooks.mlflow_hook import MlflowHook

_SERVER_SCHEMES = ("http:", "https:", "databricks")


class MlflowRunHook(MlflowHook):  # type: ignore[misc]  # kedro-mlflow publishes no types
    """kedro-mlflow's hook, which opens and closes the run, without its two habits that hurt here.

    It takes the database and the artifact folder from the project's path, not from the working directory,
    and it leaves parameters alone: kedro-mlflow would log a typed parameter as one long text.
    """

    def __init__(self) -> None:
        """Make sure that a run which was interrupted does not stay open, or count as finished."""
        super().__init__()
        self._open_run_id: str | None = None
        atexit.register(self._close_interrupted_run)

    @hook_impl(tryfirst=True)
    def after_context_created(self, context: KedroContext) -> None:
        """Fill in where MLflow writes, then let kedro-mlflow set it up."""
        self._close_interrupted_run()
        context.config_loader["mlflow"] = with_locations(
            context.config_loader["mlflow"], Path(context.project_path)
        )
        file = database_file(context.config_loader["mlflow"]["server"]["mlflow_tracking_uri"])
        with nullcontext() if file is None else database_at_hand(file):
            super().after_context_created(context)

    @hook_impl(tryfirst=True)
    def before_pipeline_run(
        self, run_params: dict[str, Any], pipeline: Pipeline, catalog: DataCatalog
    ) -> None:
        """Open the run before any other hook writes to it; a workflow's step opens the workflow's again."""
        if self._is_mlflow_enabled and not self._already_active_mlflow:
            close_killed_runs(self.mlflow_config.tracking.experiment._experiment.experiment_id)
        workflow = workflow_run()
        if workflow is not None and not self._already_active_mlflow:
            tracking = self.mlflow_config.tracking
            tracking.run.id = find_or_create_run(tracking.experiment._experiment.experiment_id, workflow)
            tracking.run.name = workflow  # MLflow renames a run that is resumed
        super().before_pipeline_run(run_params, pipeline, catalog)
        if self._is_mlflow_enabled and not self._already_active_mlflow:
            self._open_run_id = self.run_id
            mlflow.set_tags(writer_tags())

    @hook_impl
    def before_node_run(
        self, node: Node, catalog: DataCatalog, inputs: dict[str, Any], is_async: bool
    ) -> None:
        """Show kedro-mlflow no inputs, so that it logs no parameters: `ProvenanceHook` logs each field."""
        super().before_node_run(node, catalog, {}, is_async)

    @hook_impl(trylast=True)
    def after_pipeline_run(
        self, run_params: dict[str, Any], pipeline: Pipeline, catalog: DataCatalog
    ) -> None:
        """Close the run as finished, after every other hook has written to it."""
        super().after_pipeline_run(run_params, pipeline, catalog)
        self._open_run_id = None

    @hook_impl(trylast=True)
    def on_pipeline_error(
        self, error: Exception, run_params: dict[str, Any], pipeline: Pipeline, catalog: DataCatalog
    ) -> None:
        """Close the run as failed, after every other hook has written to it."""
        super().on_pipeline_error(error, run_params, pipeline, catalog)
        self._open_run_id = None

    def _close_interrupted_run(self) -> None:
        """Close as failed the run of a session that ended between the two hooks above.

        Kedro calls neither of them after Ctrl-C or after an error in a hook; MLflow itself would note such a
        run as finished when the process ends.
        """
        active = mlflow.active_run()
        if active is not None and active.info.run_id == self._open_run_id:
            mlflow.end_run("FAILED")
        self._open_run_id = None


def with_locations(config: Mapping[str, Any], project_path: Path) -> dict[str, Any]:
    """Return mlflow.yml's content with the tracking URI and the artifact folder filled in.

    The folder is `mlartifacts/` in the project's. A tracking server keeps its own: none is filled in.

    Args:
        config: Content of mlflow.yml.
        project_path: The project's folder, absolute.
    """
    server, tracking = dict(config.get("server", {})), dict(config.get("tracking", {}))
    uri = tracking_uri(server.get("mlflow_tracking_uri"), project_path)
    server["mlflow_tracking_uri"] = uri
    if not uri.startswith(_SERVER_SCHEMES):
        experiment = dict(tracking.get("experiment", {}))
        creation = dict(experiment.get("create_experiment_kwargs", {}))
        creation["artifact_location"] = (
            creation.get("artifact_location") or (project_path / "mlartifacts").as_uri()
        )
        tracking["experiment"] = {**experiment, "create_experiment_kwargs": creation}
    return {**config, "server": server, "tracking": tracking}
