"""What a run is: its command, its time, its data and its code."""

import re
import subprocess
import sys

import pytest
from kedro.io import DatasetError

from degre_pipeline.datasets import RunFactsDataset
from degre_pipeline.run_facts import facts_now, git_state


@pytest.fixture
def repository(tmp_path_factory):
    folder = tmp_path_factory.mktemp("repository")
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    for command in (["init"], ["add", "."], [*identity, "commit", "--allow-empty", "-m", "first"]):
        subprocess.run(["git", "-C", folder, *command], check=True, capture_output=True)
    return folder


def test_a_changed_file_is_told(repository):
    commit, changed = git_state(repository)
    assert re.fullmatch("[0-9a-f]{40}", commit)
    assert not changed
    (repository / "new").touch()
    assert git_state(repository) == (commit, True)


def test_outside_a_repository_the_commit_is_unknown(tmp_path):
    assert git_state(tmp_path) == ("unknown", False)


def test_the_catalog_tells_what_was_typed(repository, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/somewhere/bin/kedro", "run", "--env=ml1m"])
    facts = RunFactsDataset("ml1m", str(repository)).load()
    assert facts.command == "kedro run --env=ml1m"
    assert facts.data == "ml1m"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d", facts.when)
    assert facts == facts_now("ml1m", repository)


def test_facts_cannot_be_saved():
    with pytest.raises(DatasetError, match="never saved"):
        RunFactsDataset("ml1m").save("anything")
