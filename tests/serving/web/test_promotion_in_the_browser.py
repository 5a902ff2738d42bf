"""A person sets the alias `champion` in MLflow's UI: the service follows, and the ledger notices."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import service_process
from registry_page import ModelPage, chromium
from service_process import PROJECT, free_port, mlflow_server, ready, wait_until
from small_models import NAME

MODEL = "degre_reranker"
"""As in a project of one's own, because the pictures go to the documentation."""


def degre(command: str, server: str) -> list[str]:
    """The lines that the command `degre` says."""
    words = ("-m", "degre_pipeline.release.command_line", *command.split())
    done = subprocess.run(
        [sys.executable, *words, "--model", MODEL, "--tracking-uri", server],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(PROJECT / "src"), *filter(None, sys.path)])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture
def judged(registry):
    """Version 1, which the gate passed, is champion; version 2 it refused."""
    registry.client.rename_registered_model(NAME, MODEL)
    for version, outcome in (("1", "promote"), ("2", "refuse")):
        registry.client.set_model_version_tag(MODEL, version, "gate_outcome", outcome)
    return registry


@pytest.mark.browser
def test_a_champion_set_by_clicking_is_served_recorded_and_flagged(judged, tmp_path, body):
    pictures = Path(os.environ.get("SCREENSHOTS") or tmp_path)
    port = free_port()
    server = f"http://127.0.0.1:{port}"
    options = ("--runner", "eager", "--deadline-ms", "2000", "--model-name", MODEL)
    with (
        chromium(tmp_path / "profile") as browser,
        mlflow_server(judged.uri, judged.folder, port, tmp_path / "mlflow.log"),
        service_process.service(server, tmp_path, *options) as client,
    ):
        ready(client, "1")
        assert f"{MODEL}: champion is version 1" in degre("history", server)
        page = ModelPage(browser, server, MODEL, pictures)
        wait_until(lambda: page.has(1, "champion"), 60, "the alias is shown")
        page.take("mlflow_versions")

        page.add_alias(2, "champion", picture="mlflow_set_champion")
        wait_until(lambda: client.rerank(body)[1]["model_version"] == "2", 60, "version 2 answers")
        wait_until(lambda: page.has(2, "champion"), 60, "the alias is shown at its new place")
        page.take("mlflow_champion_moved")
        assert not page.has(1, "champion")
        said = degre("history", server)
        assert f"{MODEL}: champion is version 2, previous_champion is version 1" in said
        moved = next(line for line in said if " champion 1 -> 2 " in line)
        assert "gate: refuse  by unknown: found moved outside" in moved
        assert moved.endswith("[not passed by the gate]")

        page.add_alias(1, "champion")
        wait_until(lambda: client.rerank(body)[1]["model_version"] == "1", 60, "version 1 answers again")
        moved = next(line for line in degre("history", server) if " champion 2 -> 1 " in line)
        assert "gate: promote  by unknown" in moved
        assert "not passed" not in moved
        assert client.version()["trouble"] is None
