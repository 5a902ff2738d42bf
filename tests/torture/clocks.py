"""A wall clock that jumps while a process runs, as after a lost or a wrong time server."""

import random
import shutil
import struct
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("shifted_clock.c")
A_WEEK = 7 * 86_400


@contextmanager
def jumping_clock(folder: Path, draw: random.Random, pause: float = 0.3) -> Iterator[dict[str, str]]:
    """Yields the variables of a process whose clock jumps by up to a week, back and forth, meanwhile."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler: a clock that jumps is a library that is compiled here")
    library, shift = folder / "shifted_clock.so", folder / "shift"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, SOURCE, "-ldl"], check=True)
    shift.write_bytes(struct.pack("q", 0))
    stopped = threading.Event()

    def jump() -> None:
        with shift.open("r+b", buffering=0) as file:
            while not stopped.wait(draw.uniform(0, 2 * pause)):
                file.seek(0)
                file.write(struct.pack("q", draw.randint(-A_WEEK, A_WEEK)))

    thread = threading.Thread(target=jump)
    thread.start()
    try:
        yield {"LD_PRELOAD": str(library), "DEGRE_CLOCK": str(shift)}
    finally:
        stopped.set()
        thread.join()
