"""Training in the processes that torchrun starts: they form a group, and the first one writes for all."""

import logging
import os
from collections.abc import Generator, Mapping
from typing import Any

from kedro.framework.hooks import hook_impl
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Pipeline

TRAINED_TOGETHER = ("evaluator_training", "generator_distillation")
"""The pipelines whose nodes divide their work among processes."""


def writes_here(environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether this process writes: it is the only one, or the first of those that torchrun started."""
    return environment.get("RANK", "0") == "0"


class TrainingProcessesHook:
    """Lets the processes that torchrun started share one training; does nothing in any other run.

    In every process but the first, what nodes return stays in memory, so that each file is written once.
    """

    def __init__(self) -> None:
        """Start without a group of processes."""
        self._joined = False

    @hook_impl(wrapper=True)
    def before_pipeline_run(
        self, run_params: dict[str, Any], pipeline: Pipeline, catalog: DataCatalog
    ) -> Generator[None, None, None]:
        """Join the group before any other hook acts.

        Raises: ValueError if the run has more to do than training.
        """
        count = int(os.environ.get("WORLD_SIZE", "1"))
        if count > 1:
            check_run(run_params, count)
            _join()
            self._joined = True
            if not writes_here():
                _keep_quiet()
                for name in pipeline.all_outputs():
                    catalog[name] = MemoryDataset(copy_mode="assign")
        return (yield)

    @hook_impl(trylast=True)
    def after_pipeline_run(self) -> None:
        """Leave the group."""
        if self._joined:
            from torch import distributed

            distributed.destroy_process_group()
            self._joined = False


def check_run(run_params: Mapping[str, Any], processes: int) -> None:
    """Raise ValueError unless a run does only what several processes can share."""
    names = run_params.get("pipeline_names") or ["__default__"]
    if not set(names) <= set(TRAINED_TOGETHER):
        raise ValueError(
            f"pipelines {', '.join(names)} in {processes} processes; allowed under torchrun: "
            f"--pipelines={','.join(TRAINED_TOGETHER)}, or one of them. Run the others without torchrun."
        )
    if run_params.get("only_missing_outputs"):
        raise ValueError(
            f"only_missing_outputs is on in {processes} processes; allowed under torchrun: off, "
            "because only the first process can see what is missing"
        )


def _join() -> None:
    # Imported here so that commands that train nothing do not load PyTorch.
    import torch
    from torch import distributed

    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")


def _keep_quiet() -> None:
    """Leave reports of progress to the first process, and the notice that datasets were replaced."""
    logging.getLogger("kedro").setLevel(logging.ERROR)
    logging.getLogger("degre_pipeline").setLevel(logging.WARNING)
