"""The service under load while all that it stands on is hurt: only lists of whole, wanted versions come."""

import contextlib
import os
import random
import shutil
import signal
import socket
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from clocks import jumping_clock
from damage import one_bit_changed
from served_versions import Callers, Service, Versions
from service_process import free_port, mlflow_server, wait_until
from tortured_runs import DAY, LIGHT, Finished, started

import project_runs
from degre_pipeline.release.aliases import positions

EVENTS = 20
PATIENCE = 90


@pytest.fixture(scope="module")
def versions(finished: Finished, tmp_path_factory: pytest.TempPathFactory) -> Versions:
    """Two versions of a project, of which the first is champion."""
    folder = tmp_path_factory.mktemp("served")
    project = Path(shutil.copytree(finished.folder, folder / "project"))
    another = f"{LIGHT},generator_distillation.training.seed=3"
    words = "--pipelines=generator_distillation,evaluation,registration"
    code, said = started(project, DAY, words, settings=another).end()
    assert code == 0, said
    return Versions.of(project, folder / "opened")


class Server:
    """MLflow's own server in front of a project's database, which may hang or be gone."""

    def __init__(self, project: Path, folder: Path) -> None:
        self.port, self._project, self._folder = free_port(), project, folder
        self._stack = contextlib.ExitStack()

    @property
    def uri(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Starts it and waits until it answers."""
        database = f"sqlite:///{self._project / 'mlflow.db'}"
        started = mlflow_server(database, self._folder / "artifacts", self.port, self._folder / "mlflow.log")
        self._process = self._stack.enter_context(started)

    def end(self) -> None:
        """Ends it."""
        self._stack.close()

    @contextlib.contextmanager
    def hanging(self) -> Iterator[None]:
        """Lets it take connections and answer none."""
        os.killpg(self._process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(self._process.pid, signal.SIGCONT)


class Torture:
    """What can be done to a running service; `due` is the version that has to answer after each."""

    def __init__(self, versions: Versions, service: Service, server: Server, draw: random.Random) -> None:
        self.versions, self.service, self.server, self.draw = versions, service, server, draw
        self.due = "1"

    def promotions(self) -> None:
        """The alias moves."""
        self.due = self._other()
        self.versions.promote(self.due)

    def damaged_promotions(self) -> None:
        """The alias moves to a version of whose files one has a flipped bit: the one before goes on."""
        with self._damaged():
            self.versions.promote(self._other())
            wait_until(self.service.trouble, PATIENCE, "a refusal")
            assert self.service.version() == self.due
            self.versions.promote(self.due)

    def restarts_on_a_damaged_version(self) -> None:
        """It is killed while the alias is on a damaged version: the one that worked last goes on."""
        with self._damaged():
            self.versions.promote(self._other())
            self.restarts()
            assert self.service.version() == self.due
            self.versions.promote(self.due)

    def restarts(self) -> None:
        """It is killed, and started again."""
        self.service.kill()
        self.service.start()

    def restarts_without_mlflow(self) -> None:
        """It is killed, and started again while MLflow is gone."""
        self.server.end()
        self.restarts()
        assert self.service.version() == self.due
        self.server.start()

    def hanging_servers(self) -> None:
        """MLflow takes connections and does not answer, and the alias moves meanwhile."""
        with self.server.hanging():
            time.sleep(2)
            self.promotions()

    def locked_databases(self) -> None:
        """Somebody else has MLflow's database for a second."""
        with contextlib.closing(sqlite3.connect(self.versions.project / "mlflow.db")) as database:
            database.execute("begin exclusive")
            time.sleep(1)

    def noise(self) -> None:
        """Connections send anything, or begin and stop."""
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", self.service.port), timeout=10) as one:
                begin = self.draw.choice([b"", b"POST /rerank HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nX: "])
                one.sendall(begin + self.draw.randbytes(self.draw.randrange(2000)))

    def _damaged(self) -> contextlib.AbstractContextManager[str]:
        return one_bit_changed(self.draw.choice(self.versions.files(self._other())), self.draw)

    def _other(self) -> str:
        return next(version for version in self.versions.lists if version != self.due)


def test_only_lists_of_whole_wanted_versions_are_given(
    versions: Versions, place: Path, draw: random.Random, figures: Counter[str]
) -> None:
    assert versions.lists["1"] != versions.lists["2"]
    kinds = [name for name in vars(Torture) if not name.startswith("_")]
    with tortured(versions, place, draw) as torture, Callers(versions, torture.service.port, draw) as callers:
        for _ in range(EVENTS):
            kind = draw.choice(kinds)
            getattr(torture, kind)()
            wait_until(lambda: torture.service.version() == torture.due, PATIENCE, f"version after {kind}")
            figures[f"{kind.replace('_', ' ')} of a service under load"] += 1
    assert callers.wrong == []
    assert callers.counted["answered as its version does"] > EVENTS
    for name, number in callers.counted.items():
        figures[f"  requests meanwhile, {name}"] += number
    assert positions(project_runs.client(versions.project), versions.model)["champion"] == int(torture.due)


@contextlib.contextmanager
def tortured(versions: Versions, folder: Path, draw: random.Random) -> Iterator[Torture]:
    """A server and a service, under a clock that jumps."""
    server = Server(versions.project, folder)
    server.start()
    with contextlib.ExitStack() as ends, jumping_clock(folder, draw) as variables:
        ends.callback(server.end)
        service = Service(versions.model, server.uri, folder, variables)
        ends.callback(service.end)
        service.start()
        yield Torture(versions, service, server, draw)
