"""A misspelt parameter ends a run instead of doing nothing."""

from collections.abc import Collection, Generator, Iterable
from typing import Any

from kedro.framework import project
from kedro.framework.hooks import hook_impl
from kedro.io import DataCatalog

from degre_pipeline.hooks.flat_parameters import flatten

_ALL = "__default__"
_PREFIX = "params:"


class UnreadParametersHook:
    """Refuses parameters that no node reads.

    Kedro checks the keys inside a typed section; a section of another name it would pass over. A run of
    some pipelines answers only for the parameters under their names, because Kedro loads no other.
    """

    @hook_impl(wrapper=True)
    def before_pipeline_run(
        self, run_params: dict[str, Any], catalog: DataCatalog
    ) -> Generator[None, None, None]:
        """Compare what is set with what is read, before other hooks open the run.

        Raises: ValueError naming the first unread parameter.
        """
        inputs = {name for pipeline in project.pipelines.values() for name in pipeline.all_inputs()}
        read = {name.removeprefix(_PREFIX) for name in inputs if name.startswith(_PREFIX)}
        names = run_params.get("pipeline_names") or [_ALL]
        judged = [
            leaf for leaf in flatten(catalog.load("parameters")) if _ALL in names or _section(leaf) in names
        ]
        for leaf in unread_parameters(judged, read):
            raise ValueError(f"parameter {leaf!r} is read by no node; allowed: {_alternatives(leaf, read)}")
        return (yield)


def unread_parameters(leaves: Iterable[str], read: Collection[str]) -> list[str]:
    """Return the dotted names of the leaves that are neither read nor part of a section that is read."""
    return [leaf for leaf in leaves if not any(leaf == name or leaf.startswith(f"{name}.") for name in read)]


def _alternatives(leaf: str, read: Collection[str]) -> str:
    """Return the names that may have been meant: the parameters of the same pipeline, or else all."""
    return ", ".join(sorted({name for name in read if _section(name) == _section(leaf)} or read))


def _section(name: str) -> str:
    return name.partition(".")[0]
