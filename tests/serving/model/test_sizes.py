"""What is too large is refused before memory or disk is taken for it, measured in a real process."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from degre_pipeline.serving.model.served_files import (
    DIGESTS_TAG,
    EXAMPLE,
    FEATURE_SPACE,
    FILES,
    MOST_BYTES,
    PROGRAM,
    check_digests,
    digests_of,
)
from degre_pipeline.serving.model.served_model import fetch_files

INFLATED, PEAK_MIB = 400_000_000, 120
"""Bytes that an archive of half a megabyte holds, and what refusing it may take; Python itself takes 20."""
ASKED = """
import sys
from pathlib import Path, PosixPath
from degre_pipeline.serving.model.{module} import {function}
try:
    {function}(*map(eval, sys.argv[1:]))
except ValueError as error:
    print(error)
print(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
"""
"""A process begins with its starter's peak in `getrusage`, not so in what Linux tells of its memory."""


def refused_by_a_process(module: str, function: str, *arguments: object) -> tuple[str, int]:
    """Returns what a process of its own says of arguments that it must refuse, and its peak in MiB."""
    said = subprocess.run(
        [sys.executable, "-c", ASKED.format(module=module, function=function), *map(repr, arguments)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    *error, peak = said.splitlines()
    return "\n".join(error), int(peak) // 1024


def inflating(program_file: Path, folder: Path, entry: str) -> Path:
    """Returns a copy of a program of which one entry is deflated zeros."""
    target = folder / PROGRAM
    with zipfile.ZipFile(program_file) as old, zipfile.ZipFile(target, "w") as new:
        root = old.namelist()[0].partition("/")[0]
        for name in old.namelist():
            if name != f"{root}/{entry}":
                new.writestr(name, old.read(name))
        info = zipfile.ZipInfo(f"{root}/{entry}")
        info.compress_type = zipfile.ZIP_DEFLATED
        with new.open(info, "w", force_zip64=True) as written:
            for _ in range(INFLATED // 1_000_000):
                written.write(bytes(1_000_000))
    return target


@pytest.mark.parametrize("entry", ["data/weights/weight_0", "models/model.json"])
def test_an_archive_that_inflates_is_refused_without_the_memory_for_it(program_file, tmp_path, entry):
    file = inflating(program_file, tmp_path, entry)
    assert file.stat().st_size < 1_500_000
    error, peak = refused_by_a_process("program_file", "check_program_file", file)
    assert f"{entry}' is compressed; allowed: stored as it is" in error
    assert peak < PEAK_MIB


def test_a_stored_graph_of_hundreds_of_megabytes_is_refused_without_the_memory_for_it(tmp_path):
    file = tmp_path / PROGRAM
    with zipfile.ZipFile(file, "w") as written, written.open("p/models/model.json", "w") as graph:
        for _ in range(200):
            graph.write(b" " * 1_000_000)
    error, peak = refused_by_a_process("program_file", "check_program_file", file)
    assert "models/model.json' has 200000000 bytes; allowed: 16777216" in error
    assert peak < PEAK_MIB


@pytest.fixture
def files(program_file, tmp_path) -> Path:
    """A folder with the files of a model, two of them empty."""
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / PROGRAM).write_bytes(program_file.read_bytes())
    for name in (FEATURE_SPACE, EXAMPLE):
        (folder / name).write_text("{}")
    return folder


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_too_large_is_refused_without_the_memory_for_it(files, name):
    tags = {DIGESTS_TAG: digests_of(files)}
    assert check_digests(files, tags)
    os.truncate(files / name, MOST_BYTES[name] + 1)  # a hole, which takes no place
    error, peak = refused_by_a_process("served_files", "check_digests", files, tags)
    assert error == f"{name} has {MOST_BYTES[name] + 1:,} bytes; allowed: {MOST_BYTES[name]:,}"
    assert peak < PEAK_MIB
    with pytest.raises(ValueError, match=rf"{name} has .* bytes; allowed"):
        digests_of(files)  # so it is not registered either


def test_a_file_that_is_too_large_is_not_fetched(files, tmp_path):
    stored = files.rename(tmp_path / "artifacts")
    logged = SimpleNamespace(tags={DIGESTS_TAG: digests_of(stored)}, artifact_location=tmp_path.as_uri())
    tracking_uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    arrived, empty = tmp_path / "arrived", tmp_path / "empty"
    arrived.mkdir()
    empty.mkdir()
    fetch_files(logged, tracking_uri, arrived)
    assert {file.name for file in arrived.iterdir()} == set(FILES)

    os.truncate(stored / EXAMPLE, MOST_BYTES[EXAMPLE] + 1)
    with pytest.raises(ValueError, match=rf"{EXAMPLE} has .* bytes; allowed"):
        fetch_files(logged, tracking_uri, empty)
    assert list(empty.iterdir()) == []
