"""Random, seeded damage to whole runs: what it is done to, what it is drawn from, and what came of it."""

import os
import random
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from tortured_runs import DAY, Finished, started

import project_runs

FIGURES = pytest.StashKey[Counter[str]]()
SEED = int(os.environ.get("DEGRE_TORTURE_SEED", "0"))


def pytest_configure(config: pytest.Config) -> None:
    config.stash[FIGURES] = Counter()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    figures = config.stash[FIGURES]
    if figures:
        terminalreporter.section(f"torture, DEGRE_TORTURE_SEED={SEED}")
        for name, number in sorted(figures.items()):
            terminalreporter.write_line(f"{number:6d}  {name}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.torture)


@pytest.fixture(scope="session")
def figures(pytestconfig: pytest.Config) -> Counter[str]:
    """What was done and what came of it, by name; printed at the end."""
    return pytestconfig.stash[FIGURES]


@pytest.fixture
def draw(request: pytest.FixtureRequest) -> random.Random:
    """Random numbers that follow from the seed and the name of the test."""
    return random.Random(f"{SEED} {request.node.name}")


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, mlflow_database: Path) -> Finished:
    """The undamaged run that all damaged ones are compared with."""
    project = project_runs.lay_out(tmp_path_factory.mktemp("finished") / "project", mlflow_database)
    begun = time.monotonic()
    code, said = started(project, DAY).end()
    assert code == 0, said
    seconds = time.monotonic() - begun
    return Finished(project, project_runs.written(project), seconds, mlflow_database)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A folder that is gone afterwards: damaged projects take room."""
    yield tmp_path
    shutil.rmtree(tmp_path, ignore_errors=True)
