"""The parts of the first checks; `test_bad_input.py` sees them end whole runs."""

import errno
from pathlib import Path

import pytest
from kedro.framework import project
from kedro.io import DataCatalog
from kedro.pipeline import Node
from kedro.runner import ParallelRunner, SequentialRunner, ThreadRunner
from kedro.validation.parameter_validator import ParameterValidator

import project_runs
from degre_pipeline.cli import MAY_PASS, exit_code
from degre_pipeline.hooks.first_checks import FirstChecksHook, check_devices, check_free_disk, check_runner
from degre_pipeline.hooks.later_steps import check_later_steps


@pytest.mark.parametrize("runner", [ParallelRunner(), ThreadRunner()])
def test_runners_that_run_nodes_side_by_side_are_refused(runner: object) -> None:
    with pytest.raises(ValueError, match=r"runner is \w+Runner; allowed: SequentialRunner"):
        check_runner(str(runner))


@pytest.mark.parametrize("runner", [None, str(SequentialRunner())], ids=["the default", "named"])
def test_the_usual_runner_is_allowed(runner: str | None) -> None:
    check_runner(runner)


def test_loading_and_saving_beside_the_nodes_is_refused() -> None:
    node = Node(lambda: 1, None, "nothing", name="any")
    FirstChecksHook().before_node_run(node, DataCatalog(), is_async=False)
    with pytest.raises(ValueError, match="is_async is on; allowed: off"):
        FirstChecksHook().before_node_run(node, DataCatalog(), is_async=True)


def test_a_full_disk_may_have_room_later(tmp_path: Path) -> None:
    check_free_disk(tmp_path, least=1)
    with pytest.raises(OSError, match=r"No space left on device: \d+ MiB are free; .* or more") as refused:
        check_free_disk(tmp_path, least=2**60)
    assert refused.value.errno == errno.ENOSPC
    assert exit_code(refused.value) == MAY_PASS


def test_a_device_that_is_not_there_is_named_with_its_setting() -> None:
    check_devices({"training": {"device": "cpu"}, "gate": {"device": "auto"}})
    with pytest.raises(ValueError, match=r"gate\.device: device is 'tpu7'; allowed: auto, cpu"):
        check_devices({"training": {"device": "cpu"}, "gate": {"device": "tpu7"}})


ENVS = sorted(path.name for path in (project_runs.SOURCE / "conf").iterdir() if path.is_dir())


@pytest.mark.parametrize("env", ENVS)
def test_the_settings_of_every_folder_pass(finished_run: Path, env: str) -> None:
    with project_runs.context(finished_run, env) as opened:
        validator = ParameterValidator({name: project.pipelines[name] for name in project_runs.PIPELINES})
        settings = validator.validate_raw_params(opened.config_loader["parameters"])
    with project_runs.context(finished_run) as opened:
        check_later_steps(opened.catalog, settings)
