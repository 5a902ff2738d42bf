"""Prepares a stored program for a runner, in a process of its own so that a service goes on answering.

`python -m degre_pipeline.serving.model.prepare onnxruntime program.pt2 decode.onnx --candidates 12`
"""

import argparse
import ctypes
import os
import signal
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from degre_pipeline.serving.model.program import load_program
from degre_pipeline.serving.model.runners import RunnerName, write_compiled, write_onnx

TIMEOUT_SECONDS = 900
TEMPORARY = "preparing-"
"""Beginning of the names of folders in which something is being prepared."""
_LOWEST_PRIORITY = 19
_PR_SET_PDEATHSIG = 1


def prepared_file(name: RunnerName, folder: Path, candidates: int) -> Path | None:
    """Returns the file that a runner needs, or None where it needs none."""
    files = {"onnxruntime": folder / "decode.onnx", "aotinductor": folder / f"decode_{candidates}.pt2"}
    return files.get(name)


def prepare(name: RunnerName, program: Path, folder: Path, candidates: int) -> None:
    """Writes the file that a runner needs, unless it exists, in a process of the lowest priority.

    Args:
        name: The runner.
        program: The stored program.
        folder: Where to write.
        candidates: For how many candidates a library is compiled.
    Raises: RuntimeError: With the last line that the process said, if it failed.
    """
    file = prepared_file(name, folder, candidates)
    if file is None or file.exists():
        return
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with TemporaryDirectory(dir=folder, prefix=TEMPORARY) as temporary:
        written = Path(temporary, file.name)
        places = [str(program), str(written), "--candidates", str(candidates), "--starter", str(os.getpid())]
        done = subprocess.run(
            [sys.executable, "-m", __name__, name, *places],
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_SECONDS,
            env=child_environment(),
        )
        if done.returncode:
            last_line = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise RuntimeError(f"preparing {name} failed with {done.returncode}: {last_line}")
        os.replace(written, file)


def main() -> None:
    """Prepare one program."""
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description=__doc__)
    parser.add_argument("runner", choices=("onnxruntime", "aotinductor"))
    parser.add_argument("program", type=Path, help="the stored program")
    parser.add_argument("file", type=Path, help="what is written")
    parser.add_argument("--starter", type=int, help="the process with whose end this one ends")
    parser.add_argument("--candidates", type=int, required=True, help="for how many a library is compiled")
    options = parser.parse_args()
    end_with_starter(options.starter)
    os.nice(_LOWEST_PRIORITY)
    torch.set_num_threads(1)  # a compiled library runs on as many threads as compiled it
    program = load_program(options.program)
    if options.runner == "onnxruntime":
        write_onnx(program, options.file)
    else:
        write_compiled(program, options.candidates, options.file)


def end_with_starter(starter: int | None) -> None:
    """Makes this process end when the one that started it has ended. Only Linux knows how."""
    if starter is not None and sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != starter:
            raise SystemExit(f"process {starter} has ended")


def child_environment() -> dict[str, str]:
    """Returns this process's environment with its import path, which a child may not inherit otherwise."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


if __name__ == "__main__":
    main()
