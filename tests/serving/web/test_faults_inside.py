"""A real service whose threads and observers meet what no code foresaw, and models that list nothing."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import service_process
import torch
from service_process import Client, ready, wait_until
from small_models import NAME, REQUESTS, SPACE, trained
from torch import Tensor, nn

from degre_pipeline.reranker.models.stored_models import restore_decoding
from degre_pipeline.serving.model.program import MOST_CANDIDATES, _exported, blank_inputs, save_program
from degre_pipeline.serving.model.reranking_model import build_reranker
from degre_pipeline.serving.model.served_files import DIGESTS_TAG, digests_of

BROKEN = str(Path(__file__).with_name("broken_service.py"))
THREADS = (
    "follow-champion",
    "check",
    "read",
    "decode",
    "decode-large",
    "follow-challenger",
    "shadow",
    "prediction-log",
)
"""All of a service with every part, in the order in which it names them."""


class ListsNothing(nn.Module):
    """Decodes as a generator does, but a request of an unknown segment, or every one, to a list of -1."""

    def __init__(self, seed: int, always: bool) -> None:
        super().__init__()
        self.decoding, self.always = restore_decoding(trained(seed)), always

    def forward(self, static: Tensor, candidates: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        sequences, steps = self.decoding(static, candidates, mask)
        affected = static[:, :1] >= 0 if self.always else static[:, :1] == 0
        return torch.where(affected, torch.full_like(sequences, -1), sequences), steps


def make_odd(registry, version: str, *, always: bool, example: bool) -> None:
    """Gives a registered version such a program, and the digests of what it holds then."""
    program, stored = (registry.artifact(version, name) for name in ("program.pt2", "example.json"))
    program.unlink()
    module = ListsNothing(1, always).eval()
    save_program(_exported(module, blank_inputs(SPACE.sizes(), 2, 3), MOST_CANDIDATES), program)
    if not example:
        stored.write_text(json.dumps({**json.loads(stored.read_text()), "requests": [], "lists": []}))
    source = registry.client.get_model_version(NAME, version).source.removeprefix("models:/")
    registry.client.set_logged_model_tags(source, {DIGESTS_TAG: digests_of(program.parent)})


def list_of(client: Client, body) -> tuple[list[int], str | None]:
    status, answer = client.rerank(body)
    assert status == 200
    only = answer["lists"][0]
    return only["candidate_indices"], only["fallback"]


def test_a_model_that_lists_nothing_does_no_harm_that_a_rollback_does_not_heal(registry, tmp_path, body):
    good, other = (
        list(build_reranker(trained(seed), SPACE).rerank(REQUESTS)[0].candidate_indices) for seed in (0, 1)
    )
    stranger = {**body, "user": {"segment": "never seen"}}
    make_odd(registry, "2", always=False, example=True)
    options = ("--runner", "eager", "--deadline-ms", "2000")
    with service_process.service(registry.uri, tmp_path, *options) as client:
        ready(client, "1")
        registry.promote("2")  # proves itself on its stored example, and lists nothing for other requests
        wait_until(lambda: client.version()["model_version"] == "2", 60, "version 2")
        for _ in range(3):
            assert list_of(client, stranger) == ([0, 1, 2], "error")
            assert list_of(client, body) == (other, None)
        assert client.get("/health/ready") == (200, "ready")

        registry.promote("1")
        wait_until(lambda: client.version()["model_version"] == "1", 60, "version 1")
        assert list_of(client, body) == (good, None)
        assert list_of(client, stranger)[1] is None

        make_odd(registry, "2", always=True, example=False)
        registry.promote("2")  # proves nothing, so it never answers
        wait_until(lambda: client.metric("degre_model_load_failures_total") == 1, 60, "refusal")
        assert list_of(client, body) == (good, None)
        registry.promote("1")
        wait_until(lambda: client.version()["trouble"] is None, 60, "the good version")
        assert list_of(client, body) == (good, None)
        assert client.get("/health/ready") == (200, "ready")


def set_all_to_work(client: Client, body) -> None:
    """Sends a small and a large body, for which some threads wait."""
    for content in (body, {"requests": [body] * 64}):
        client.call("POST", "/rerank", json.dumps(content).encode())


@dataclass
class Broken:
    """A running service, and the folder of files that break it."""

    client: Client
    folder: Path

    def breaks(self, fault: str) -> None:
        (self.folder / fault).touch()

    def is_mended(self, fault: str) -> None:
        (self.folder / fault).unlink()

    def readiness(self) -> tuple[int, str]:
        return self.client.get("/health/ready")


@contextmanager
def breakable(registry, folder: Path) -> Iterator[Broken]:
    """A service with every part that it can have."""
    registry.promote("2", "challenger")
    faults = folder / "faults"
    faults.mkdir()
    options = ("--runner", "eager", "--deadline-ms", "1000", "--shadow-alias", "challenger")
    log = ("--shadow-share", "1", "--prediction-log", str(folder / "log"), "--log-seconds", "0.1")
    with service_process.service(
        registry.uri, folder, *options, *log, program=(BROKEN, str(faults))
    ) as client:
        ready(client, "1")
        yield Broken(client, faults)


@pytest.fixture(scope="module")
def broken(shared_registry, tmp_path_factory) -> Iterator[Broken]:
    """One that every test leaves mended."""
    with breakable(shared_registry, tmp_path_factory.mktemp("broken")) as one:
        yield one


def test_every_thread_that_ends_is_seen_by_readiness_and_keeps_no_caller_waiting(registry, tmp_path, body):
    with breakable(registry, tmp_path) as one:
        end_all_threads(one, body)


def end_all_threads(broken: Broken, body) -> None:
    client, good = broken.client, list_of(broken.client, body)
    assert good[1] is None
    last = (
        "read",
        "decode",
        "check",
    )  # others wait for them, and without the last two no list is the model's
    ended: set[str] = set()
    for name in [*(one for one in THREADS if one not in last), *last]:
        broken.breaks(f"{name}.end")
        ended.add(name)
        named = ", ".join(one for one in THREADS if one in ended)

        def is_seen(expected: str = f"a thread has ended, and a restart is needed: {named}") -> bool:
            set_all_to_work(client, body)
            return broken.readiness() == (503, expected)

        wait_until(is_seen, 60, f"{name} has ended")
        assert client.get("/health/live")[0] == 200
        if not ended & {"decode", "check"}:
            assert list_of(client, body) == good
        elif name == "decode":
            assert list_of(client, body) == ([0, 1, 2], "deadline")
    status, answer = client.rerank(body)
    assert (status, answer["detail"]) == (503, "thread 'check' has ended or fails")


@pytest.mark.slow
def test_a_thread_that_fails_again_and_again_is_seen_by_readiness_and_may_recover(broken, body):
    client, good = broken.client, list_of(broken.client, body)
    assert good[1] is None
    for name in THREADS:
        broken.breaks(f"{name}.fail")

        def is_seen(expected: str = f"a thread fails again and again: {name}") -> bool:
            set_all_to_work(client, body)
            return broken.readiness() == (503, expected)

        wait_until(is_seen, 60, f"{name} fails")
        broken.is_mended(f"{name}.fail")

        def has_recovered() -> bool:
            set_all_to_work(client, body)
            return broken.readiness()[0] == 200

        wait_until(has_recovered, 60, "recovery")
        assert list_of(client, body) == good
        assert client.metric(f'degre_failed_steps_total{{thread="{name}"}}') > 0


def test_what_only_observes_answers_stops_none(broken, shared_registry, body):
    client, good = broken.client, list_of(broken.client, body)
    broken.breaks("observe.fail")
    wider = {**body, "user": {**body["user"], "colour": "red"}}
    for _ in range(3):
        assert list_of(client, wider) == good
    shared_registry.promote("2")
    wait_until(lambda: client.version()["model_version"] == "2", 60, "version 2")
    assert client.rerank(body)[1]["lists"][0]["fallback"] is None
    assert broken.readiness() == (200, "ready")
    assert client.metric('degre_failed_steps_total{thread="observe"}') > 0
    broken.is_mended("observe.fail")
    shared_registry.promote("1")
    wait_until(lambda: client.version()["model_version"] == "1", 60, "version 1")
    assert list_of(client, wider) == good
