"""The service as a process of its own: asked, ended, and clear about what went wrong."""

import socket

import pytest
from small_models import NAME, REQUESTS

from degre_pipeline.serving.model.signature import as_record
from degre_pipeline.serving.web.process import ProcessConfig, running_service

CONFIG = ProcessConfig(alias="champion", runner="eager", deadline_ms=2000.0, ready_seconds=90.0)


def is_running(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def test_it_answers_inside_the_block_and_ends_with_it(registry, monkeypatch):
    # Settings of another service do not count.
    monkeypatch.setenv("DEGRE_SERVICE_ALIAS", "other")
    monkeypatch.setenv("DEGRE_SERVICE_TOKEN", "another token")
    with running_service(registry.uri, NAME, CONFIG) as client:
        told = client.version()
        assert (told["model_version"], told["alias"], told["runner"]) == ("1", "champion", "eager")
        answer = client.rerank(as_record(REQUESTS[0]))
        assert sorted(answer["lists"][0]["item_ids"]) != []
        assert answer["lists"][0]["fallback"] is None
        client.close()
        assert client.rerank(as_record(REQUESTS[0]))["model_version"] == "1"
        with pytest.raises(RuntimeError, match=r"refused request 'x' with status 422: .*candidates"):
            client.rerank({"request_id": "x", "candidates": []})
        port = client.port
    assert not is_running(port)


@pytest.mark.slow
def test_an_alias_that_no_version_has_is_said_at_once(registry):
    missing = ProcessConfig(alias="nobody", runner="eager", deadline_ms=50.0, ready_seconds=600.0)
    with (
        pytest.raises(RuntimeError, match=r"alias 'nobody' is ready.*alias nobody not found"),
        running_service(registry.uri, NAME, missing),
    ):
        pytest.fail("it must not become ready")


@pytest.mark.slow
def test_a_service_that_does_not_start_says_its_last_words(registry):
    wrong = ProcessConfig(alias="champion", runner="abacus", deadline_ms=50.0, ready_seconds=600.0)
    with (
        pytest.raises(RuntimeError, match=r"ended with status 2: .*--runner.*abacus"),
        running_service(registry.uri, NAME, wrong),
    ):
        pytest.fail("it must not become ready")
