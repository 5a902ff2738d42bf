"""Everything needed to say where a run's results came from: parameters, code, data, machine."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mlflow
from kedro.framework.hooks import hook_impl
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline
from mlflow.data.dataset_source_registry import get_dataset_source_from_json
from mlflow.data.meta_dataset import MetaDataset
from mlflow.utils.validation import MAX_DATASET_DIGEST_SIZE

from degre_pipeline.hooks.catalog_files import dataset_file
from degre_pipeline.hooks.flat_parameters import flatten, loggable
from degre_pipeline.hooks.workflow_run import joined
from degre_pipeline.run_facts import UNKNOWN, git_state

REQUEST_LOG_TABLES = ("requests", "candidates", "exposures", "users", "items")
TAGGED_PARAMETERS = ("seed", "run_date", "device")
_PARAMETERS_PER_CALL = 100


class ProvenanceHook:
    """Writes to the run what its results depend on.

    - every parameter, one field each, also of typed parameters; in a workflow of several runs, one that has
      changed since an earlier step as the tag `changed.<name>`;
    - the tags `git_commit`, `git_dirty`, `pipelines`, `hardware`, and `seed`, `run_date`, `device` (the
      values of all parameters of that name);
    - the tag `data_sha256` and one MLflow input a request-log table: at the start when the run reads the
      tables, otherwise when the node that has written the last of them is done, because the tables of a node
      take their places together. The hash is over the bytes of the tables' files: equal rows written by
      another Parquet writer hash differently.
    """

    def __init__(self, tables: Sequence[str] = REQUEST_LOG_TABLES) -> None:
        """Name the catalog entries of the tables that count as the run's data."""
        self._tables = tuple(tables)
        self._parameters: dict[str, str] = {}
        self._awaited: set[str] = set()
        self._is_due = False
        self._catalog: DataCatalog | None = None

    @hook_impl
    def after_catalog_created(self, parameters: dict[str, Any]) -> None:
        """Remember the parameters as Kedro has checked and built them."""
        self._parameters = flatten(parameters["parameters"])

    @hook_impl
    def before_pipeline_run(
        self, run_params: dict[str, Any], pipeline: Pipeline, catalog: DataCatalog
    ) -> None:
        """Write parameters and tags, and which data the run reads."""
        self._catalog = catalog
        self._awaited, self._is_due = set(self._tables) & pipeline.all_outputs(), False
        active = mlflow.active_run()
        if active is None:
            return
        known = mlflow.get_run(active.info.run_id).data
        _log_parameters(loggable(self._parameters), known.params)
        pipelines = "+".join(run_params.get("pipeline_names") or ["__default__"])
        mlflow.set_tags(
            {
                "pipelines": joined(known.tags.get("pipelines"), pipelines),
                "hardware": _hardware(),
                **_git_tags(Path(run_params["project_path"])),
                **_tagged(self._parameters),
            }
        )

        if not self._awaited:
            self._log_data(catalog)

    @hook_impl
    def after_dataset_saved(self, dataset_name: str) -> None:
        """Note that the last table is written."""
        if dataset_name in self._awaited:
            self._awaited.remove(dataset_name)
            self._is_due = not self._awaited

    @hook_impl
    def before_node_run(self) -> None:
        """Write which data the run has made."""
        self._log_data_if_due()

    @hook_impl
    def after_pipeline_run(self) -> None:
        """Write which data the run has made, where no node came after."""
        self._log_data_if_due()

    def _log_data_if_due(self) -> None:
        if self._is_due and self._catalog is not None:
            self._log_data(self._catalog)
            self._is_due = False

    def _log_data(self, catalog: DataCatalog) -> None:
        if mlflow.active_run() is None:
            return
        files = {name: dataset_file(catalog, name) for name in self._tables}
        digests = {name: _sha256(file) for name, file in files.items() if file and file.is_file()}
        if not digests:
            return
        for name, digest in digests.items():
            mlflow.log_input(_described(name, str(files[name]), digest), context="request log")
        joined = "\n".join(f"{name} {digest}" for name, digest in digests.items())
        mlflow.set_tag("data_sha256", hashlib.sha256(joined.encode()).hexdigest())


def _log_parameters(parameters: dict[str, str], known: dict[str, str]) -> None:
    """Write the parameters; where an earlier step of the workflow wrote another value, the new one is a tag.

    MLflow never changes a parameter, and a step that is repeated with a corrected setting must not fail.
    """
    new = [(name, value) for name, value in parameters.items() if name not in known]
    for start in range(0, len(new), _PARAMETERS_PER_CALL):
        mlflow.log_params(dict(new[start : start + _PARAMETERS_PER_CALL]))
    changed = {name: value for name, value in parameters.items() if known.get(name, value) != value}
    if changed:
        mlflow.set_tags({f"changed.{name}": value for name, value in changed.items()})


def _described(name: str, location: str, digest: str) -> MetaDataset:
    # By type, because looking a path up finds two equal kinds of local source and warns of it.
    source = get_dataset_source_from_json(json.dumps({"uri": location}), "local")
    # MLflow's own example does this; its type hints call the optional `profile` abstract.
    return MetaDataset(source, name=name, digest=digest[:MAX_DATASET_DIGEST_SIZE])  # type: ignore[abstract]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _git_tags(folder: Path) -> dict[str, str]:
    commit, changed = git_state(folder)
    return {"git_commit": commit, "git_dirty": UNKNOWN if commit == UNKNOWN else str(changed).lower()}


def _tagged(parameters: dict[str, str]) -> dict[str, str]:
    tags: dict[str, str] = {}
    for tag in TAGGED_PARAMETERS:
        values = {value for name, value in parameters.items() if name.split(".")[-1] == tag}
        if values:
            tags[tag] = ", ".join(sorted(values))
    return tags


def _hardware() -> str:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
