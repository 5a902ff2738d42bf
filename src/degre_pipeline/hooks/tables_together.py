"""The tables that a node returns replace those of an earlier run all at once, or not at all."""

from typing import TYPE_CHECKING

from kedro.framework.hooks import hook_impl
from kedro.io import DataCatalog
from kedro.pipeline.node import Node

if TYPE_CHECKING:
    from degre_pipeline.datasets import TableDataset


class TablesTogetherHook:
    """Holds back every table of a node until the last of them has been written.

    A full disk or a column that cannot be stored then leaves the files of the run before, instead of tables
    of two logs side by side.
    """

    def __init__(self) -> None:
        """Start without a table."""
        self._catalog: DataCatalog | None = None
        self._awaited: set[str] = set()
        self._held_back: list[TableDataset] = []

    @hook_impl
    def before_pipeline_run(self, catalog: DataCatalog) -> None:
        """Remember where tables are kept; what an interrupted run in this process held back is dropped."""
        self._catalog = catalog
        self._drop()

    @hook_impl
    def after_node_run(self, node: Node) -> None:
        """Await the tables that the node has returned."""
        tables = {name: self._table(name) for name in node.outputs}
        self._held_back = [table for table in tables.values() if table is not None]
        self._awaited = {name for name, table in tables.items() if table is not None}
        for table in self._held_back:
            table.hold_back()

    @hook_impl(tryfirst=True)
    def after_dataset_saved(self, dataset_name: str) -> None:
        """Put all tables in their place once the last has been written, before others look at the files."""
        if dataset_name in self._awaited:
            self._awaited.remove(dataset_name)
            if not self._awaited:
                for table in self._held_back:
                    table.put_in_place()
                self._held_back = []

    @hook_impl
    def on_pipeline_error(self) -> None:
        """Drop what has been written without the tables that belong to it."""
        self._drop()

    def _table(self, name: str) -> "TableDataset | None":
        # Imported here because datasets load PyTorch, and every `kedro` command loads the hooks.
        from degre_pipeline.datasets import TableDataset

        dataset = self._catalog[name] if self._catalog is not None and name in self._catalog else None
        return dataset if isinstance(dataset, TableDataset) else None

    def _drop(self) -> None:
        for table in self._held_back:
            table.drop()
        self._held_back, self._awaited = [], set()
