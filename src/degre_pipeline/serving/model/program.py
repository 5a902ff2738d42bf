"""The generator's decode as one exported program: a graph of tensor operations with its weights."""

import threading
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from degre_pipeline.reranker.models.stored_models import (
    TrainedWeights,
    restore_decoding,
    restore_ranking_model,
)
from degre_pipeline.reranker.schema import FieldSize
from degre_pipeline.serving.model.program_file import check_program_file

MOST_CANDIDATES = 128
"""Largest number of candidates, N_max, that a program takes unless told otherwise."""
MOST_REQUESTS = 256
"""Largest number of requests that a program decodes together."""

_ONE_AT_A_TIME = threading.Lock()  # torch reads programs through a global variable


def export_program(trained: TrainedWeights, most_candidates: int = MOST_CANDIDATES) -> ExportedProgram:
    """Returns the decode of trained weights as a program, unrolled over the slots.

    It takes the index columns that `Reranker.encode` makes, for 1 to `MOST_REQUESTS` requests of 1 to
    `most_candidates` candidates, and gives what `Decoding.forward` gives.

    Args:
        trained: The generator.
        most_candidates: N_max.
    """
    sizes = [FieldSize(**size) for size in trained.config["sizes"]]
    return _exported(restore_decoding(trained), blank_inputs(sizes, 2, 3), most_candidates)


def export_ranking_model(trained: TrainedWeights, most_candidates: int = MOST_CANDIDATES) -> ExportedProgram:
    """Returns the scoring of a stored point-wise model as a program, for requests of the same sizes.

    It takes index columns of requests and candidates, without a mask, and gives a logit for every candidate.
    """
    sizes = [FieldSize(**size) for size in trained.config["sizes"]]
    return _exported(restore_ranking_model(trained), blank_inputs(sizes, 2, 3)[:2], most_candidates)


def _exported(module: nn.Module, inputs: tuple[Tensor, ...], most_candidates: int) -> ExportedProgram:
    """Returns a module as a program for any number of requests and candidates that is allowed."""
    requests = Dim("requests", min=1, max=MOST_REQUESTS)
    candidates = Dim("candidates", min=1, max=most_candidates)
    shapes = ({0: requests}, *({0: requests, 1: candidates} for _ in inputs[1:]))
    with torch.no_grad():
        return torch.export.export(module, inputs, dynamic_shapes=shapes)


def blank_inputs(sizes: list[FieldSize], requests: int, candidates: int) -> tuple[Tensor, Tensor, Tensor]:
    """Returns inputs of a program in which every value is unknown and every candidate real."""
    static = sum(size.columns for size in sizes if not size.per_candidate)
    columns = sum(size.columns for size in sizes if size.per_candidate)
    return (
        torch.zeros(requests, static, dtype=torch.int32),
        torch.zeros(requests, candidates, columns, dtype=torch.int32),
        torch.ones(requests, candidates, dtype=torch.bool),
    )


def save_program(program: ExportedProgram, path: Path) -> None:
    """Writes a program without the parts that a loader would have to unpickle or execute.

    These are its example inputs and its guards of shapes, which callers check themselves. Where in this
    project's code an operation stands is left out, too.
    """
    program.example_inputs = None
    program._guards_code = []
    for node in program.graph.nodes:
        for origin in ("stack_trace", "nn_module_stack", "torch_fn", "source_fn_stack"):
            node.meta.pop(origin, None)
    torch.export.save(program, path)
    check_program_file(path)


def load_program(path: Path) -> ExportedProgram:
    """Returns a stored program.

    Raises: ValueError: If loading or running the file could execute anything but tensor operations.
    """
    check_program_file(path)
    with _ONE_AT_A_TIME:
        return torch.export.load(path)
