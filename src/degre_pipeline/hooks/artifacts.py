"""Which files of a run are kept in MLflow."""

from pathlib import Path

import mlflow
from kedro.framework.hooks import hook_impl
from kedro.io import DataCatalog

from degre_pipeline.hooks.catalog_files import dataset_file

KEPT_LAYERS = {"06_models": "models", "08_reporting": "reporting"}
"""Data layers whose files are kept, and the artifact folder of each."""


class ArtifactsHook:
    """Copies files that this run has written to it, when it ends well or badly.

    - every file of the layers in `KEPT_LAYERS`: model weights, metrics, reports, figures;
    - every JSON document of another layer, under `documents`: the feature space and its like;
    - the Data Docs of the tables that this run validated, under `data_docs`.
    """

    def __init__(self) -> None:
        """Start without a dataset."""
        self._attempted: set[str] = set()
        self._saved: list[str] = []

    @hook_impl
    def before_pipeline_run(self) -> None:
        """Forget the datasets of an earlier run."""
        self._attempted, self._saved = set(), []

    @hook_impl
    def before_dataset_saved(self, dataset_name: str) -> None:
        """Note that the dataset is about to be validated."""
        self._attempted.add(dataset_name)

    @hook_impl
    def after_dataset_saved(self, dataset_name: str) -> None:
        """Note that the dataset was written."""
        self._saved.append(dataset_name)

    @hook_impl
    def after_pipeline_run(self, catalog: DataCatalog) -> None:
        """Keep the files."""
        self._keep(catalog)

    @hook_impl
    def on_pipeline_error(self, catalog: DataCatalog) -> None:
        """Keep the files that were written before the error, and the report of the table that caused it."""
        self._keep(catalog)

    def _keep(self, catalog: DataCatalog) -> None:
        if mlflow.active_run() is None:
            return
        for name in self._saved:
            path = dataset_file(catalog, name)
            folder = artifact_folder(path) if path and path.exists() else None
            if folder:
                mlflow.log_artifact(str(path), folder)
        for site in self._validation_sites(catalog):
            if site.is_dir():
                mlflow.log_artifacts(str(site), "data_docs")

    def _validation_sites(self, catalog: DataCatalog) -> set[Path]:
        specs = catalog.validator_specs
        options = [specs[name].options for name in self._attempted if name in specs]
        return {Path(option["path"]) for option in options if "path" in option}


def artifact_folder(path: Path) -> str | None:
    """Return the artifact folder in which a dataset's file is kept, or None if it is not kept."""
    for layer, folder in KEPT_LAYERS.items():
        if layer in path.parts:
            return folder
    return "documents" if path.suffix == ".json" else None
