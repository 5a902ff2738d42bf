"""The how-to about own logs, followed block by block as a stranger would."""

import json
import os
import shutil
import socket
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import yaml
from how_to_pages import Block, Reader, blocks

import project_runs

PAGE = project_runs.SOURCE / "docs" / "how-to" / "use_your_own_logs.md"
SMALL = ("evaluator_training", "generator_distillation", "mining", "evaluation", "gate")
ADDRESS = "127.0.0.1:8000"


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture
def reader(tmp_path: Path, mlflow_database: Path) -> Reader:
    """A project after `make run` has set it up, with models small enough for a test, and a free port."""
    project = project_runs.lay_out(tmp_path / "project", mlflow_database)
    (project / "conf" / "shop").mkdir()
    for name in SMALL:
        shutil.copy(project / "conf/test" / f"parameters_{name}.yml", project / "conf/shop")
    shutil.copy(project_runs.SOURCE / "Makefile", project)
    (project / ".venv").symlink_to(sys.prefix)
    programs = tmp_path / "bin"
    programs.mkdir()
    # The environment that runs the tests has what `make serve` would install.
    (programs / "make").write_text(
        f'#!/bin/sh\nexec "{shutil.which("make")}" -o .venv/.installed-serving "$@"\n'
    )
    (programs / "make").chmod(0o755)
    variables = {
        "PATH": os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.environ["PATH"]]),
        "DEGRE_SERVICE_PORT": str(free_port()),
        "DEGRE_SERVICE_RUNNER": "eager",
        "DEGRE_SERVICE_CACHE_FOLDER": str(tmp_path / "cache"),
    }
    return Reader(project, variables)


def wait_until_ready(port: str) -> None:
    end = time.monotonic() + 120
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=5):
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.2)
    raise AssertionError("the service did not become ready")


@pytest.mark.slow
def test_the_page_leads_from_a_log_to_an_answer(reader: Reader) -> None:
    said = []
    found = blocks(PAGE)
    serving = next(place for place, block in enumerate(found) if "make serve" in block.text)
    for block in found[:serving]:
        said.append(reader.follow(block))
    assert "champion is version 1" in said[-1] or "champion none -> 1" in said[-1]
    project = reader.project
    assert all("/shop/" in name for name in project_runs.written(project)), (
        "data beside the shop's own folders"
    )
    assert [model.name for model in project_runs.client(project).search_registered_models()] == [
        "degre_reranker_shop"
    ]
    pages = ("data_docs/index.html", "evaluation/report.html", "gate/gate_report.html")
    assert all((project / "data/08_reporting/shop" / page).is_file() for page in pages)

    port = reader.variables["DEGRE_SERVICE_PORT"]
    asked = Block("sh", found[serving + 1].text.replace(ADDRESS, f"127.0.0.1:{port}"))
    assert asked.text != found[serving + 1].text
    with reader.following(found[serving]):
        wait_until_ready(port)
        answer = json.loads(reader.follow(asked))
    assert answer["model_version"] == "1"
    (ranked,) = answer["lists"]
    assert sorted(ranked["item_ids"]) == [11, 12]
    assert ranked["fallback"] is None


def test_the_page_moves_every_folder_and_the_name_of_the_data() -> None:
    base = yaml.safe_load((project_runs.SOURCE / "conf/base/globals.yml").read_text("utf-8"))
    (own,) = (yaml.safe_load(block.text) for block in blocks(PAGE) if "globals.yml" in block.text)
    assert own["folders"] == {name: f"{folder}/shop" for name, folder in base["folders"].items()}
    assert own["data"] == "shop" != base["data"]
