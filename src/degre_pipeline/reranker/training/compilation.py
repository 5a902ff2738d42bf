"""What is compiled: whole models in training, the piece that a search repeats, and a decode that serves."""

import importlib.util
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from degre_pipeline.reranker.checked_settings import Switch
from degre_pipeline.reranker.models.evaluator import Evaluator
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


def fuse_steps(evaluator: Evaluator, switch: Switch, work: float) -> None:
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
    layer_step = torch.compile(TransformerLayer.step, dynamic=True)
    for member in evaluator.members:
        member.layer_step = layer_step


def compiled_ahead(
    model: nn.Module, call: Callable[..., Any], inputs: tuple[Tensor, ...], package: Path
) -> Callable[..., Any]:
    """Compiles a call of a model to a library of its own that runs without Python, and returns it, loaded.

    Weights become constants, packed for products of the very shapes that occur, which are tried out. For a
    decode of one request this takes a minute or two and halves its time; it runs on as many threads as
    torch had when it was compiled.

    Args:
        model: In eval mode, on the CPU.
        call: What is compiled, such as `model.greedy_decode`.
        inputs: Of the call, of the shapes that it will get.
        package: File that is written, a `.pt2`.
    """
    packed = {"freezing": True, "max_autotune": True, "max_autotune_gemm_backends": "CPP,ATEN"}
    program = torch.export.export(_Call(model, call), inputs)
    torch._inductor.aoti_compile_and_package(program, package_path=str(package), inductor_configs=packed)
    return load_compiled(package)


def load_compiled(package: Path) -> Callable[..., Any]:
    """Returns what `compiled_ahead` has written. Its library runs in this process: load only your own."""
    loaded: Callable[..., Any] = torch._inductor.aoti_load_package(str(package))
    return loaded


class _Call(nn.Module):
    """Makes a call of a model its forward, which is what can be exported."""

    def __init__(self, model: nn.Module, call: Callable[..., Any]) -> None:
        super().__init__()
        self.model, self.call = model, call

    def forward(self, *inputs: Tensor) -> Any:
        return self.call(*inputs)


def has_compiler(device: torch.device) -> bool:
    """Returns whether torch.compile can work for a device: a C++ compiler, and Triton for CUDA."""
    kernels = device.type != "cuda" or importlib.util.find_spec("triton") is not None
    return kernels and any(map(shutil.which, ("g++", "clang++", "cl")))


def step_work(evaluator: Evaluator) -> float:
    """Returns the floating-point operations of the matrix products of one item's step."""
    parts = [part for member in evaluator.members for part in (member.layers, member.head)]
    return 2.0 * sum(p.numel() for part in parts for p in part.parameters() if p.ndim > 1)
