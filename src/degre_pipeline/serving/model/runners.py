"""What runs the served program: torch itself, ONNX Runtime, or a library compiled for this machine.

Every runner stands in for the generator: its `decode` gives the same sequences and log-probabilities.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor
from torch.export import ExportedProgram
from torch.nn import functional

from degre_pipeline.reranker.training.compilation import compiled_ahead, load_compiled
from degre_pipeline.serving.model.program import load_program
from degre_pipeline.serving.model.reranking_model import Decoder

RunnerName = Literal["aotinductor", "onnxruntime", "eager"]
RUNNERS: tuple[RunnerName, ...] = get_args(RunnerName)
"""The fastest for one request first."""
Decoded = tuple[Tensor, Tensor]
_INPUTS = ("static", "candidates", "mask")


class EagerRunner:
    """Runs the program's operations one by one in torch; needs nothing prepared."""

    def __init__(self, program: ExportedProgram) -> None:
        self._module = program.module()

    @torch.no_grad()
    def decode(self, static: Tensor, candidates: Tensor, mask: Tensor) -> Decoded:
        """Returns what `Decoding.forward` returns."""
        found: Decoded = self._module(static, candidates, mask)
        return found


class OnnxRunner:
    """Runs the program in ONNX Runtime on one thread.

    Args:
        file: What `write_onnx` wrote.
    """

    def __init__(self, file: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors
        self._session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        self._taken = {one.name for one in self._session.get_inputs()}

    def decode(self, static: Tensor, candidates: Tensor, mask: Tensor) -> Decoded:
        """Returns what `Decoding.forward` returns."""
        given = zip(_INPUTS, (static, candidates, mask), strict=True)
        inputs = {name: tensor.numpy() for name, tensor in given if name in self._taken}
        sequences, steps = self._session.run(None, inputs)
        return torch.from_numpy(sequences), torch.from_numpy(steps)


class CompiledRunner:
    """Runs a library that was compiled for one request of a certain number of candidates.

    Smaller requests are padded to that number; larger ones, and batches in which one by one would take
    longer than all at once, go to another runner.

    Args:
        call: The loaded library.
        candidates: The number of candidates that it takes.
        otherwise: Runs what does not fit.
        one_by_one: Most requests of a batch that are decoded singly.
    """

    def __init__(
        self, call: Callable[..., Any], candidates: int, otherwise: Decoder, one_by_one: int = 2
    ) -> None:
        self._call, self._candidates = call, candidates
        self._otherwise, self._one_by_one = otherwise, one_by_one

    def decode(self, static: Tensor, candidates: Tensor, mask: Tensor) -> Decoded:
        """Returns what `Decoding.forward` returns."""
        b, n = mask.shape
        if n > self._candidates or b > self._one_by_one:
            return self._otherwise.decode(static, candidates, mask)
        missing = self._candidates - n
        padded = functional.pad(candidates, (0, 0, 0, missing)), functional.pad(mask, (0, missing))
        rows = [self._call(*(part[row : row + 1] for part in (static, *padded))) for row in range(b)]
        sequences, steps = (torch.cat(parts) for parts in zip(*rows, strict=True))
        return sequences, steps[..., :n]


def write_onnx(program: ExportedProgram, file: Path) -> None:
    """Writes a program as ONNX, for any number of requests and candidates that it takes."""
    written = torch.onnx.export(program, (), dynamo=True, input_names=list(_INPUTS), verbose=False)
    assert written is not None
    written.save(str(file))


def write_compiled(program: ExportedProgram, candidates: int, file: Path) -> None:
    """Compiles a program for one request of so many candidates; takes a minute or two."""
    module = program.module()
    static, per_candidate, mask = (node.meta["val"] for node in _placeholders(program))
    inputs = (
        torch.zeros(1, static.shape[1], dtype=static.dtype),
        torch.zeros(1, candidates, per_candidate.shape[2], dtype=per_candidate.dtype),
        torch.ones(1, candidates, dtype=mask.dtype),
    )
    compiled_ahead(module, module.forward, inputs, file)


def build_runner(name: RunnerName, program: Path, prepared: Path, candidates: int) -> Decoder:
    """Returns a runner of a stored program.

    Args:
        name: Which one.
        program: The stored program.
        prepared: The folder with what `prepare` wrote for it.
        candidates: The number of candidates that the compiled library takes.
    """
    if name == "eager":
        return EagerRunner(load_program(program))
    if name == "onnxruntime":
        return OnnxRunner(prepared / "decode.onnx")
    try:
        otherwise: Decoder = OnnxRunner(prepared / "decode.onnx")
    except Exception:
        otherwise = EagerRunner(load_program(program))
    return CompiledRunner(load_compiled(prepared / f"decode_{candidates}.pt2"), candidates, otherwise)


def _placeholders(program: ExportedProgram) -> list[Any]:
    names = program.graph_signature.user_inputs
    return [node for node in program.graph.nodes if node.op == "placeholder" and node.name in names]
