"""Turns the files of a version into a model that answers, and proves it on the stored example."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from degre_pipeline.serving.model.prepare import prepare
from degre_pipeline.serving.model.runners import RUNNERS, RunnerName, build_runner
from degre_pipeline.serving.model.served_files import EXAMPLE, PROGRAM
from degre_pipeline.serving.model.served_model import ServedModel, proven
from degre_pipeline.serving.model.stored_example import StoredExample
from degre_pipeline.serving.web.model_source import FetchedModel

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoadedModel(ServedModel):
    """A version at work.

    Attributes:
        version: In the registry.
        runner: What runs it.
    """

    version: str
    runner: RunnerName


def load_quickly(fetched: FetchedModel, wanted: RunnerName | Literal["auto"]) -> LoadedModel:
    """Returns a model with the wanted runner, or with a slower one where that does not work.

    With `auto` the compiled library is left for later, unless it lies there: compiling takes minutes.

    Raises: ValueError: If no runner gives the lists of the stored example, with the reason of the last.
    """
    if wanted != "auto":
        order = RUNNERS[RUNNERS.index(wanted) :]
    else:
        order = tuple(
            name for name in RUNNERS if name != "aotinductor" or any(_prepared(fetched).glob("decode_*.pt2"))
        )
    for name in order:
        try:
            return load_with(fetched, name)
        except Exception as error:
            logger.warning("version %s does not run in %s: %s", fetched.version, name, error)
            reason = error
    raise ValueError(f"version {fetched.version} runs in none of {order}: {reason}") from reason


def load_with(fetched: FetchedModel, name: RunnerName) -> LoadedModel:
    """Returns a model with one runner. Raises: Exception: If that does not work here, or ranks otherwise."""
    usual = StoredExample.read(fetched.folder / EXAMPLE).usual_candidates
    program, prepared = fetched.folder / PROGRAM, _prepared(fetched)
    if name == "aotinductor":
        prepare("onnxruntime", program, prepared, usual)
    prepare(name, program, prepared, usual)
    served = proven(build_runner(name, program, prepared, usual), fetched.folder)
    return LoadedModel(**vars(served), version=fetched.version, runner=name)


def _prepared(fetched: FetchedModel) -> Path:
    """Returns the folder of prepared files, one for each torch: another torch may not read compiled ones."""
    import torch

    return fetched.folder / f"torch-{torch.__version__}"
