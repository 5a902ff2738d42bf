"""MLflow's own basic authentication: who may follow an alias, who may move it, what others are told."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
import service_process
from service_process import PROJECT, Client, free_port, process, ready, wait_until
from small_models import NAME

ADMIN = ("admin", "an admin's password")
SERVICE = ("service", "a service's password")
ANN = ("ann", "ann's own password")


def credentials(user: tuple[str, str]) -> dict[str, str]:
    return {"MLFLOW_TRACKING_USERNAME": user[0], "MLFLOW_TRACKING_PASSWORD": user[1]}


@pytest.fixture
def guarded(registry, tmp_path) -> Iterator[str]:
    """The address of a server that asks for a password."""
    pytest.importorskip("flask_wtf", reason="mlflow[auth] is not installed; make test-slow")
    port, settings = free_port(), tmp_path / "basic_auth.ini"
    settings.write_text(
        "[mlflow]\ndefault_permission = READ\nadmin_username = admin\n"
        f"database_uri = sqlite:///{tmp_path / 'users.db'}\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
    )
    command = ("-m", "mlflow", "server", "--app-name", "basic-auth", "--workers", "1")
    place = ("--backend-store-uri", registry.uri, "--host", "127.0.0.1", "--port", str(port))
    environment = {
        "MLFLOW_AUTH_CONFIG_PATH": str(settings),
        "MLFLOW_AUTH_ADMIN_PASSWORD": ADMIN[1],
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "only for this test",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    with process(*command, *place, log=tmp_path / "mlflow.log", **environment):
        wait_until(lambda: Client(port).get("/health")[0] == 200, 120, "MLflow's server", pause=0.3)
        yield f"http://127.0.0.1:{port}"


def as_admin(server: str, code: str) -> str:
    """What a script of the administrator prints, in which `users` manages users."""
    script = f"from mlflow.server import get_app_client as g\nusers = g('basic-auth', {server!r})\n{code}"
    done = run("-W", "ignore", "-c", script, user=ADMIN)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def degre(server: str, *words: str, user: tuple[str, str] | None) -> tuple[int, str]:
    """The exit code of the command `degre` and all it says."""
    place = ("--model", NAME, "--tracking-uri", server)
    done = run("-m", "degre_pipeline.release.command_line", *words, *place, user=user)
    return done.returncode, done.stdout + done.stderr


def run(*words: str, user: tuple[str, str] | None) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(PROJECT / "src"), *filter(None, sys.path)])
    return subprocess.run(
        [sys.executable, *words],
        env={**os.environ, "PYTHONPATH": path, **(credentials(user) if user else {})},
        capture_output=True,
        text=True,
        check=False,
    )


@contextlib.contextmanager
def service_of(user: tuple[str, str], server: str, folder, monkeypatch) -> Iterator[Client]:
    folder.mkdir()
    with monkeypatch.context() as patch:
        for name, value in credentials(user).items():
            patch.setenv(name, value)
        with service_process.service(server, folder, "--runner", "eager") as client:
            yield client


@pytest.mark.slow
def test_reading_is_enough_to_serve_and_moving_an_alias_takes_more(guarded, tmp_path, monkeypatch):
    as_admin(guarded, "\n".join(f"users.create_user({name!r}, {word!r})" for name, word in (SERVICE, ANN)))

    assert "error code 401" in degre(guarded, "history", user=None)[1]
    wrong = (SERVICE[0], "not it")
    with service_of(wrong, guarded, tmp_path / "wrong", monkeypatch) as client:
        wait_until(lambda: "error code 401" in str(client.version()["trouble"]), 60, "the refusal is told")

    with service_of(SERVICE, guarded, tmp_path / "right", monkeypatch) as client:
        ready(client, "1")
        promotion = ("promote", "2", "--force", "--why", "tried")
        code, said = degre(guarded, *promotion, user=ANN)
        assert code == 1
        assert said.splitlines()[-1].startswith("Error: API request to endpoint")
        assert "Permission denied" in said
        assert "Traceback" not in said

        as_admin(guarded, f"users.grant_user_permission('ann', 'registered_model', {NAME!r}, 'EDIT')")
        code, said = degre(guarded, *promotion, user=ANN)
        assert code == 0, said
        assert "champion 1 -> 2" in said
        ready(client, "2")
        code, said = degre(guarded, "history", user=SERVICE)
        assert code == 0, said
        assert "champion 1 -> 2" in said
        assert client.version()["trouble"] is None
