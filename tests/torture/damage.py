"""A changed bit in a file."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def one_bit_changed(path: Path, draw: random.Random) -> Iterator[str]:
    """Changes a random bit of a file for a while; yields which."""
    whole = path.read_bytes()
    place, bit = draw.randrange(len(whole)), draw.randrange(8)
    path.write_bytes(whole[:place] + bytes([whole[place] ^ (1 << bit)]) + whole[place + 1 :])
    yield f"bit {bit} of byte {place} of {path.name}"
    path.write_bytes(whole)
