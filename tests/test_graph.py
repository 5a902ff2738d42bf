"""The pipelines' nodes and the data between them, against a stored text."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from kedro.framework import project as kedro_project
from kedro.pipeline import Pipeline

import project_runs

SNAPSHOT = Path(__file__).parent / "snapshots" / "pipelines.txt"
REFRESH = "python tests/test_graph.py"
ALL = (*project_runs.PIPELINES, *project_runs.ON_REQUEST)
MOST_ARGUMENTS = 8
WRITTEN_BY_THE_RUNNING_NODE = {"training_checkpoints", "study_checkpoints"}
OF_THE_RUN = {"run_facts"}
"""Kept for the next run of the same node, and so an input that no node returns."""


def registered() -> dict[str, Pipeline]:
    """Returns all pipelines, as Kedro finds them."""
    kedro_project.configure_project("degre_pipeline")
    return dict(kedro_project.pipelines)


def described(pipelines: dict[str, Pipeline]) -> str:
    """Returns every node of every pipeline with its inputs and outputs, in the order of the data."""
    return "\n".join(line for name in ALL for line in _lines(name, pipelines[name])) + "\n"


def _lines(name: str, pipeline: Pipeline) -> Iterator[str]:
    yield f"{name}:"
    for node in pipeline.nodes:
        yield f"  {node.name}"
        yield from (f"    < {dataset}" for dataset in node.inputs)
        yield from (f"    > {dataset}" for dataset in node.outputs)


@pytest.fixture(scope="module")
def pipelines() -> dict[str, Pipeline]:
    return registered()


@pytest.fixture(scope="module")
def catalog() -> dict[str, dict[str, object]]:
    content = yaml.safe_load((project_runs.SOURCE / "conf" / "base" / "catalog.yml").read_text("utf-8"))
    return {name: entry for name, entry in content.items() if not name.startswith("_")}


def test_nodes_and_data_are_as_recorded(pipelines: dict[str, Pipeline]) -> None:
    assert described(pipelines) == SNAPSHOT.read_text("utf-8"), (
        f"The pipelines are no longer what {SNAPSHOT.name} records. If that is meant: {REFRESH}"
    )


def test_eight_pipelines_run_together_and_others_on_request(pipelines: dict[str, Pipeline]) -> None:
    assert set(pipelines) == {*ALL, "__default__"}
    one_by_one = {node.name for name in project_runs.PIPELINES for node in pipelines[name].nodes}
    assert {node.name for node in pipelines["__default__"].nodes} == one_by_one


def test_a_node_is_named_after_its_function_and_its_pipeline(pipelines: dict[str, Pipeline]) -> None:
    for pipeline in ALL:
        for node in pipelines[pipeline].nodes:
            assert node.name == f"{pipeline}.{node.func.__name__}"


def test_no_node_has_more_arguments_than_can_be_overlooked(pipelines: dict[str, Pipeline]) -> None:
    counts = {node.name: len(node.inputs) for name in ALL for node in pipelines[name].nodes}
    assert {name: count for name, count in counts.items() if count > MOST_ARGUMENTS} == {}


def test_pipelines_follow_one_another(pipelines: dict[str, Pipeline]) -> None:
    made: set[str] = set()
    for name in ALL:
        needed = {given for given in pipelines[name].inputs() if not is_parameter(given)}
        assert needed <= made | WRITTEN_BY_THE_RUNNING_NODE | OF_THE_RUN, name
        made |= pipelines[name].all_outputs()


def test_all_data_that_crosses_a_pipeline_is_in_the_catalog(
    pipelines: dict[str, Pipeline], catalog: dict[str, dict[str, object]]
) -> None:
    for name in ALL:
        needed = {given for given in pipelines[name].inputs() if not is_parameter(given)}
        assert needed <= set(catalog), name


def test_every_entry_of_the_catalog_is_written_by_a_node(
    pipelines: dict[str, Pipeline], catalog: dict[str, dict[str, object]]
) -> None:
    written = {output for pipeline in pipelines.values() for output in pipeline.all_outputs()}
    assert set(catalog) - written == WRITTEN_BY_THE_RUNNING_NODE | OF_THE_RUN


def test_every_result_that_no_node_reads_is_kept(
    pipelines: dict[str, Pipeline], catalog: dict[str, dict[str, object]]
) -> None:
    for name in ("__default__", *project_runs.ON_REQUEST):
        assert pipelines[name].outputs() <= set(catalog)


def is_parameter(dataset: str) -> bool:
    return dataset.startswith("params:")


if __name__ == "__main__":
    SNAPSHOT.parent.mkdir(exist_ok=True)
    SNAPSHOT.write_text(described(registered()), "utf-8")
