from types import SimpleNamespace

import pytest

from degre_pipeline.hooks.training_processes import TrainingProcessesHook, check_run, writes_here


def entered(names: list[str] | None) -> None:
    """Does what the hook does before a run of the given pipelines."""
    hook = TrainingProcessesHook()
    next(hook.before_pipeline_run({"pipeline_names": names}, SimpleNamespace(), SimpleNamespace()))


@pytest.mark.parametrize(
    "names", [None, ["mining"], ["__default__"], ["evaluator_training", "mining"], ["evaluation"]]
)
def test_other_pipelines_are_refused_in_several_processes(
    names: list[str] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")

    with pytest.raises(
        ValueError,
        match="in 2 processes; allowed under torchrun: --pipelines=evaluator_training,generator",
    ):
        entered(names)


@pytest.mark.parametrize("size", [None, "1"])
def test_one_process_runs_everything(size: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    if size:
        monkeypatch.setenv("WORLD_SIZE", size)

    entered(None)
    entered(["mining"])


def test_looking_for_missing_outputs_is_refused() -> None:
    run = {"pipeline_names": ["evaluator_training"], "only_missing_outputs": True}

    with pytest.raises(ValueError, match="only_missing_outputs is on in 3 processes; allowed under torchrun"):
        check_run(run, 3)
    check_run(run | {"only_missing_outputs": False}, 3)


def test_the_first_process_writes() -> None:
    assert writes_here({})
    assert writes_here({"RANK": "0"})
    assert not writes_here({"RANK": "1"})
