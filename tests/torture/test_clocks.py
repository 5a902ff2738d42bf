"""The clock jumps by days while the main job runs: files, champion and ledger are those of a quiet clock."""

import random
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from clocks import jumping_clock
from tortured_runs import DAY, Finished, check_equal, check_registry, started

RUNS = 2


@pytest.mark.parametrize("number", range(RUNS))
def test_a_run_does_not_ask_the_clock(
    number: int, finished: Finished, place: Path, draw: random.Random, figures: Counter[str]
) -> None:
    project = finished.empty(place / "project")
    with jumping_clock(place, draw) as variables:
        code, said = started(project, DAY, variables=variables).end()
    assert code == 0, said
    check_equal(project, finished.written)
    check_registry(project)
    figures["runs under a jumping clock, with the same files"] += 1


def test_the_clock_of_a_process_does_jump(place: Path, draw: random.Random) -> None:
    """The library that makes it jump is at work: otherwise nothing here would tell anything."""
    with jumping_clock(place, draw, pause=0.05) as variables:
        program = "import time; print(*(time.sleep(0.02) or time.time() for _ in range(100)))"
        said = subprocess.run(
            [sys.executable, "-c", program], env=variables, check=True, capture_output=True, text=True
        ).stdout.split()
    times = [float(one) for one in said]
    assert max(times) - min(times) > 86_400
    assert any(later < earlier for earlier, later in pairwise(times))
