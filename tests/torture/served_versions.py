"""Two registered versions of a project, what each answers, and a service that is hurt while it answers."""

import http.client
import random
import subprocess
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
from mlflow.entities import LoggedModel
from service_process import Client, Clients, end, free_port, process, wait_until

import project_runs
from degre_pipeline.release.loaded_version import open_contender
from degre_pipeline.serving.model.served_files import files_of
from degre_pipeline.serving.model.served_model import logged_model
from degre_pipeline.serving.model.signature import as_record

Answer = tuple[int, dict[str, Any]]
PAUSE_SECONDS = 0.01
NOT_ANSWERED = (OSError, http.client.HTTPException)


@dataclass(frozen=True)
class Versions:
    """A project's versions by number, and the lists that each gives to the same requests.

    Attributes:
        project: Whose registry it is.
        model: Name of the registered model.
        bodies: Requests.
        lists: Item ids of every request's list, by version.
        logged: Where the files of a version are.
    """

    project: Path
    model: str
    bodies: list[dict[str, Any]]
    lists: dict[str, list[list[Any]]]
    logged: dict[str, LoggedModel]

    @classmethod
    def of(cls, project: Path, folder: Path) -> "Versions":
        """Ranks the stored requests with every version of a project."""
        client = project_runs.client(project)
        (model,) = (found.name for found in client.search_registered_models())
        numbers = sorted(str(found.version) for found in client.search_model_versions(f"name = '{model}'"))
        logged = {number: logged_model(client, model, number) for number in numbers}
        with project_runs.opened(project):
            mlflow.set_tracking_uri(f"sqlite:///{project / 'mlflow.db'}")
            opened = {number: open_contender(one, folder / number) for number, one in logged.items()}
        requests = [one for contender in opened.values() for one in contender.served.example.requests]
        lists = {
            number: [list(one.item_ids) for one in contender.served.reranker.rerank(requests)]
            for number, contender in opened.items()
        }
        return cls(project, model, [as_record(request) for request in requests], lists, logged)

    def promote(self, version: str) -> None:
        """Moves the alias as a click in MLflow's UI does."""
        project_runs.client(self.project).set_registered_model_alias(self.model, "champion", version)

    def files(self, version: str) -> list[Path]:
        """Returns the stored files that a service loads."""
        place = Path(self.logged[version].artifact_location.removeprefix("file://")) / "artifacts"
        return [place / name for name in files_of(self.logged[version].tags)]


class Service:
    """A service that may be killed and started again at the same place."""

    def __init__(self, model: str, tracking_uri: str, folder: Path, variables: Mapping[str, str]) -> None:
        self.port, self._folder, self._variables = free_port(), folder, variables
        self._command = [
            *("-m", "degre_pipeline.serving.web", "--port", str(self.port), "--model-name", model),
            *("--tracking-uri", tracking_uri, "--poll-seconds", "0.3"),
            *("--cache-folder", str(folder / "cache"), "--prediction-log", str(folder / "predictions")),
            *("--runner", "eager", "--deadline-ms", "3000", "--header-seconds", "1"),
        ]
        self._started: subprocess.Popen[bytes] | None = None
        self._kept: Any = None

    def start(self) -> None:
        """Starts it and waits until a model answers."""
        self._kept = process(*self._command, log=self._folder / "service.log", **self._variables)
        self._started = self._kept.__enter__()
        wait_until(lambda: Client(self.port).get("/health/ready")[0] == 200, 120, "ready")

    def kill(self) -> None:
        """Kills it without a warning."""
        assert self._started is not None
        self._started.kill()
        self._started.wait()
        self.end()

    def end(self) -> None:
        """Ends it and what it has started."""
        assert self._started is not None
        end(self._started)

    def version(self) -> str | None:
        """Returns the version that answers."""
        return Client(self.port).version()["model_version"]

    def trouble(self) -> str | None:
        """Returns why it does not follow the alias, where it does not."""
        return Client(self.port).version()["trouble"]


class Callers(Clients):
    """Clients that ask the service again and again, and check every answer against what its version says."""

    def __init__(self, versions: Versions, port: int, draw: random.Random, clients: int = 2) -> None:
        self._versions, self._port = versions, port
        self.counted: Counter[str] = Counter()
        self.wrong: list[Any] = []
        self._seeds = [draw.random() for _ in range(clients)]
        super().__init__(clients)

    def _ask(self) -> None:
        draw = random.Random(self._seeds.pop())
        while not self._stopped.wait(PAUSE_SECONDS):
            number = draw.randrange(len(self._versions.bodies))
            try:
                status, answer = Client(self._port).rerank(self._versions.bodies[number])
            except NOT_ANSWERED:
                self.counted["not answered"] += 1
                time.sleep(0.05)
                continue
            self.counted[self._judged(number, status, answer)] += 1

    def _judged(self, number: int, status: int, answer: Any) -> str:
        if status != 200:
            self.wrong.append((number, status, answer))
            return "refused"
        (one,) = answer["lists"]
        if one["fallback"] is not None:
            return f"fallback: {one['fallback']}"
        if one["item_ids"] != self._versions.lists[answer["model_version"]][number]:
            self.wrong.append((number, status, answer))
        return "answered as its version does"
