"""A disk that is full at any moment: 75 for "try again", nothing lost, and the same files with more room."""

import random
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from tortured_runs import DAY, Finished, check_equal, check_registry, started

from degre_pipeline.cli import MAY_PASS

DISKS = 3
PLENTY = 500_000_000


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk in memory, whose size `mount -o remount` changes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip(f"a tmpfs cannot be mounted here: {mounted.stderr.decode()}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def leave(disk: Path, size: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", disk], check=True)


def used(folder: Path) -> int:
    said = subprocess.run(["du", "-sB1", folder], check=True, capture_output=True, text=True).stdout
    return int(said.split()[0])


@pytest.mark.parametrize("number", range(DISKS))
def test_a_run_on_a_full_disk_can_be_tried_again(
    number: int, disk: Path, finished: Finished, draw: random.Random, figures: Counter[str]
) -> None:
    project = finished.empty(disk / "project")
    before, after = used(project), used(finished.folder)
    leave(disk, draw.randint(before + 65_536, after))
    code, said = started(project, DAY).end()
    assert code == MAY_PASS, said
    leave(disk, PLENTY)
    code, said = started(project, DAY).end()
    assert code == 0, said
    check_equal(project, finished.written)
    check_registry(project)
    figures["full disks, tried again to the same files"] += 1
