"""What `torch.compile` is used for: whole models in training, and the one piece that a search repeats."""

import importlib.util
import logging
import shutil

import torch
from torch import nn

from degre_pipeline.reranker.configs import Switch
from degre_pipeline.reranker.models.evaluator import LookaheadEvaluator
from degre_pipeline.reranker.models.transformer import TransformerLayer

logger = logging.getLogger(__name__)

WORTH_COMPILING = (
    2e13  # floating-point operations; minutes of work on two cores, and compiling takes half a one
)


def compiled(model: nn.Module, switch: Switch, device: torch.device) -> nn.Module:
    """Returns the model, compiled when asked for; `auto` compiles on CUDA only.

    On two CPU cores compiling took 45 s and made training 1.15 times as fast, so `auto` does not.
    Falls back to the plain model, with a message, where no C++ compiler is found.
    """
    if switch == "off" or (switch == "auto" and device.type != "cuda"):
        return model
    if not has_compiler(device):
        logger.warning("compile is %r but no compiler or Triton was found; training is uncompiled", switch)
        return model
    return torch.compile(model)  # type: ignore[return-value]


def fuse_steps(evaluator: LookaheadEvaluator, switch: Switch, work: float) -> None:
    """Lets the evaluator's search steps run compiled, in place, where that is asked for and pays.

    The layers share one compiled step, for all sizes of beam and prefix; the compiler keeps it on disk for
    the next process. Values differ from the plain step's by rounding only.

    Args:
        evaluator: On its device.
        switch: `on`; `off`; `auto` compiles on CUDA, and elsewhere where there is enough work.
        work: Floating-point operations to come.
    """
    device = next(evaluator.parameters()).device
    if switch == "off" or (switch == "auto" and device.type != "cuda" and work < WORTH_COMPILING):
        return
    if not has_compiler(device):
        logger.warning("compile is %r but no compiler or Triton was found; the search is uncompiled", switch)
        return
    evaluator.layer_step = torch.compile(TransformerLayer.step, dynamic=True)


def has_compiler(device: torch.device) -> bool:
    """Returns whether torch.compile can work for a device: a C++ compiler, and Triton for CUDA."""
    kernels = device.type != "cuda" or importlib.util.find_spec("triton") is not None
    return kernels and any(map(shutil.which, ("g++", "clang++", "cl")))


def step_work(evaluator: LookaheadEvaluator) -> float:
    """Returns the floating-point operations of the matrix products of one item's step."""
    matrices = [p for name, p in evaluator.layers.named_parameters() if p.ndim > 1]
    matrices += [p for p in evaluator.head.parameters() if p.ndim > 1]
    return 2.0 * sum(matrix.numel() for matrix in matrices)
