from dataclasses import dataclass

import pytest

from degre_pipeline.release import loaded_version
from degre_pipeline.release.loaded_version import Contender, median_latencies_ms
from degre_pipeline.serving.model.reranking_model import RankedList
from degre_pipeline.serving.model.served_model import ServedModel


@dataclass
class Slow:
    """Takes so many milliseconds of a made-up clock for the request of that name."""

    clock: list[float]
    calls: list[tuple[str, str]]
    name: str
    milliseconds: dict[str, float]

    def ranked(self, requests):
        (request,) = requests
        self.calls.append((self.name, request))
        self.clock[0] += self.milliseconds[request] / 1000


@pytest.fixture
def two(monkeypatch):
    clock, calls = [0.0], []
    monkeypatch.setattr(loaded_version.time, "perf_counter", lambda: clock[0])
    return calls, [
        Slow(clock, calls, "one", {"a": 900.0, "b": 3.0, "c": 5.0, "d": 40.0}),
        Slow(clock, calls, "other", {"a": 1.0, "b": 8.0, "c": 2.0, "d": 4.0}),
    ]


def test_the_warm_up_does_not_count(two):
    calls, both = two
    latencies = median_latencies_ms([(contender, "abc") for contender in both], warm_up=2)
    assert latencies == pytest.approx([5.0, 2.0])
    assert calls[:4] == [("one", "a"), ("one", "a"), ("other", "a"), ("other", "a")]


def test_contenders_take_turns(two):
    calls, both = two
    median_latencies_ms([(contender, "ab") for contender in both], warm_up=0)
    assert calls == [("one", "a"), ("other", "a"), ("one", "b"), ("other", "b")]


def test_one_request_has_a_latency(two):
    _, both = two
    assert median_latencies_ms([(both[1], "b")]) == pytest.approx([8.0])


class Answers:
    """A reranker whose program gives no list for one request, as `Reranker` says it."""

    def rerank(self, requests):
        if "broken" in requests:
            raise RuntimeError("the model ranks candidates [0, 0]")
        return [RankedList(None, (request,), (0,), (1.0,)) for request in requests]


def test_a_request_without_a_list_does_not_hide_the_others():
    contender = Contender(served=ServedModel(Answers(), None, None), runner=None, size_bytes=1)
    assert contender.ranked(["a", "broken", "b"]) == [[0], [], [0]]
    assert contender.ranked(["a", "b"]) == [[0], [0]]
