"""Parts of the service by themselves."""

import asyncio
import json
import math
import os
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from small_models import REQUESTS, SPACE

from degre_pipeline.serving.model.request_schema import Request, RequestSchema, without_ranking_score
from degre_pipeline.serving.model.reranking_model import RankedList
from degre_pipeline.serving.model.served_files import FILES
from degre_pipeline.serving.web import follower
from degre_pipeline.serving.web.cache_folder import CacheFolderError, cache_folder
from degre_pipeline.serving.web.checking import Checker
from degre_pipeline.serving.web.drift import ScoreDrift, stability_index
from degre_pipeline.serving.web.fallback import fallback_list
from degre_pipeline.serving.web.measures import Measures
from degre_pipeline.serving.web.micro_batches import Batcher
from degre_pipeline.serving.web.model_source import FetchedModel, ModelSource
from degre_pipeline.serving.web.redaction import without_secrets
from degre_pipeline.serving.web.reranking import Answered, Reranking
from degre_pipeline.serving.web.running_parts import Service
from degre_pipeline.serving.web.service_settings import ServiceSettings
from degre_pipeline.serving.web.threads import Repeating
from degre_pipeline.serving.web.time_limited import TimeLimited


def test_stability_index_by_hand():
    # Counts 1 and 3 become shares 1.5/5 and 3.5/5 with half a count added, against one half each.
    expected = (0.3 - 0.5) * math.log(0.3 / 0.5) + (0.7 - 0.5) * math.log(0.7 / 0.5)
    assert stability_index(np.array([1.0, 3.0])) == pytest.approx(expected)
    assert stability_index(np.array([4.0, 4.0])) == pytest.approx(0.0)


def test_scores_spread_as_in_training_are_no_drift_and_others_are():
    generator = np.random.default_rng(0)

    def index_of(scores) -> float:
        drift = ScoreDrift(SPACE)
        drift.add([Request([{"item_id": 1, "ranking_score": score} for score in scores], {}, {})])
        return drift.indices()["ranking_score"]

    assert index_of(generator.choice([-2.0, -0.5, 0.5, 2.0], 4000)) < 0.01
    assert index_of(generator.choice([0.5, 2.0], 4000)) > 0.25


def test_a_missing_score_is_no_drift():
    drift = ScoreDrift(SPACE)
    drift.add([Request([{"item_id": 1, "ranking_score": None}, {"item_id": 2}], {}, {})])
    assert drift.indices() == {"ranking_score": 0.0}


def test_the_fallback_is_the_incoming_order_cut_to_the_list():
    assert fallback_list(REQUESTS[0], REQUESTS[0], 3).item_ids == (11, 12, 13)
    assert fallback_list(REQUESTS[1], None, 3).candidate_indices == (0, 1)
    assert fallback_list(REQUESTS[0], None, None).item_ids == (11, 12, 13, 14)


def test_the_fallback_is_in_the_order_of_scores_that_the_model_made_itself():
    bare = without_ranking_score(REQUESTS[0])
    scored = replace(
        bare,
        candidates=[
            {**one, "ranking_score": score}
            for one, score in zip(bare.candidates, (1.0, 3.0, 2.0, 3.0), strict=True)
        ],
    )
    assert fallback_list(bare, scored, 3).candidate_indices == (1, 3, 2)
    assert fallback_list(scored, scored, 3).candidate_indices == (0, 1, 2)


class Echo:
    """Ranks a request as its id; one with id `bad` fails whatever stands beside it."""

    def __init__(self) -> None:
        self.batches: list[list[object]] = []
        self.may_go_on = threading.Event()

    def rank_checked(self, requests):
        self.may_go_on.wait(5)
        self.batches.append([request.request_id for request in requests])
        if any(request.request_id == "bad" for request in requests):
            raise RuntimeError("bad")
        return [request.request_id for request in requests]


def ask(ids, seconds=5.0, wait=0.0, observe=lambda *observed: None, candidates=()):
    """Returns what each of several calls gets, and the sizes of the batches; a list of ids is one call."""
    echo, batcher = Echo(), Batcher(Measures(), observe)
    model = SimpleNamespace(reranker=echo, version="1")

    async def all_at_once():
        def call(several):
            requests = [Request(candidates, {}, {}, one) for one in several]
            return batcher.rank(object(), model, requests, time.monotonic() + seconds)

        calls = [one if isinstance(one, list) else [one] for one in ids]
        futures = call(calls[0])
        await asyncio.sleep(0.01)  # it is being decoded when the others come
        futures += [future for several in calls[1:] for future in call(several)]
        await asyncio.sleep(0.05 + wait)
        echo.may_go_on.set()
        await asyncio.wait(futures, timeout=1)
        return [future.exception() or future.result() if future.done() else None for future in futures]

    batcher.start()
    try:
        return asyncio.run(all_at_once()), echo.batches
    finally:
        batcher.stop()


def test_what_waits_is_decoded_together():
    answers, batches = ask([1, 2, 3, 4])
    assert answers == [1, 2, 3, 4]
    assert batches == [[1], [2, 3, 4]]


def test_calls_have_their_turn_one_request_at_a_time():
    large = [f"large {place}" for place in range(64)]
    answers, batches = ask([0, large, 1, 2])
    assert len(answers) == 67
    assert batches[:2] == [[0], ["large 0", 1, 2, *large[1:30]]]  # without a candidate all fit together
    assert [len(batch) for batch in batches] == [1, 32, 32, 2]


def test_a_call_without_a_request_keeps_no_other_waiting():
    answers, batches = ask([0, [], 1])
    assert answers == [0, 1]
    assert batches == [[0], [1]]


def test_long_requests_make_short_batches():
    _, batches = ask([0, [*range(1, 20)]], candidates=[{}] * 32)
    assert [len(batch) for batch in batches] == [1, 4, 4, 4, 4, 3]


def test_a_request_that_fails_takes_no_other_with_it():
    answers, _ = ask([1, 2, "bad", 4])
    assert answers[:2] + answers[3:] == [1, 2, 4]
    assert isinstance(answers[2], RuntimeError)


def test_what_nobody_waits_for_any_more_is_not_decoded():
    answers, batches = ask([1, 2, 3], seconds=0.02, wait=0.1)
    assert answers[1:] == [None, None]
    assert batches == [[1]]


def test_an_observer_that_fails_ends_nothing():
    def fails(*observed):
        raise IndexError("tuple index out of range")

    answers, batches = ask([1, 2, 3], observe=fails)
    assert answers == [1, 2, 3]
    assert len(batches) == 2


def test_a_step_that_fails_is_counted_and_the_next_one_follows():
    measures, steps = Measures(), iter(["fail", "fail", "go", "end"])

    def step():
        one = next(steps)
        if one == "fail":
            raise OverflowError("too large")
        return one == "go"

    thread = Repeating("part", step, measures)
    assert not thread.has_ended  # it has not begun
    thread.start()
    thread.join(10)
    assert thread.has_ended
    assert b'degre_failed_steps_total{thread="part"} 2.0' in measures.text()


def test_a_function_that_hangs_is_waited_for_once():
    may_go_on, calls = threading.Event(), []
    limited = TimeLimited(0.05, most_hanging=1)

    def hang():
        calls.append("hang")
        may_go_on.wait(10)
        return "late"

    with pytest.raises(TimeoutError, match=r"no answer after 0\.05 seconds"):
        limited.call(hang)
    with pytest.raises(TimeoutError, match="1 earlier calls have no answer yet"):
        limited.call(hang)
    may_go_on.set()
    limited = TimeLimited(5.0)
    assert limited.call(lambda: 3) == 3
    with pytest.raises(ZeroDivisionError):
        limited.call(lambda: 1 // 0)
    assert calls == ["hang"]


def test_functions_that_hang_keep_no_later_one_from_being_called():
    never, limited = threading.Event(), TimeLimited(0.05, most_hanging=2)
    for hanging in (1, 2):
        with pytest.raises(TimeoutError, match=r"no answer after 0\.05 seconds"):
            limited.call(never.wait)
        if hanging < 2:
            assert limited.call(lambda: 3) == 3
    with pytest.raises(TimeoutError, match="2 earlier calls have no answer yet"):
        limited.call(lambda: 3)
    never.set()


def test_no_address_tells_its_password():
    text = (
        "MlflowException: https://ann:s3cr@t@host:5000/api, postgresql://u:p@db/x; a@b.c and http://host/x@y"
    )
    assert without_secrets(text) == (
        "MlflowException: https://***@host:5000/api, postgresql://***@db/x; a@b.c and http://host/x@y"
    )


def test_a_cache_folder_that_others_may_write_is_refused(tmp_path):
    open_to_all = tmp_path / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    with pytest.raises(
        CacheFolderError, match=r"mode 0777; allowed: one of user \d+ that no other can write"
    ):
        cache_folder(open_to_all)
    assert cache_folder(open_to_all / "own").stat().st_mode & 0o777 == 0o700


def test_what_a_killed_service_left_in_the_cache_is_removed(tmp_path):
    folder = cache_folder(tmp_path / "cache")
    left = [folder / ".arriving-abc", folder / "0123" / "torch-2" / "preparing-abc"]
    for one in left:
        one.mkdir(parents=True)
        os.utime(one, (0, 0))
    kept = folder / "0123" / "torch-2" / "preparing-now"
    kept.mkdir()
    cache_folder(folder)
    assert [one.exists() for one in [*left, kept]] == [False, False, True]


def test_without_a_home_folder_the_cache_must_be_named(monkeypatch, tmp_path):
    def nobody():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", nobody)
    with pytest.raises(CacheFolderError, match="allowed: --cache-folder FOLDER"):
        cache_folder(None)
    assert cache_folder(tmp_path / "named").is_dir()


def test_a_thread_that_ended_is_seen_by_readiness(tmp_path):
    settings = ServiceSettings(
        tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}", cache_folder=tmp_path / "cache"
    )
    service = Service(settings)
    assert service.unready() == "no model is loaded yet"
    service.champion.model = object()
    assert service.unready() is None

    service.reranking.checks.thread._step = lambda: False
    service.reranking.checks.start()
    service.reranking.checks.thread.join(10)
    assert service.unready() == "a thread has ended, and a restart is needed: check"


class Model(SimpleNamespace):
    """A version that reads no field but the ranking score, and decodes nothing."""

    def __init__(self, ranking=None):
        reranker = SimpleNamespace(scored=ranking or (lambda requests: requests))
        example = SimpleNamespace(most_candidates=128, list_length=3)
        schema = RequestSchema.of(SPACE)
        super().__init__(reranker=reranker, example=example, schema=schema, version="1", space=SPACE)


def checker(**limits) -> Checker:
    return Checker(Measures(), **{"most_requests": 64, "most_candidates": 8192, "strict": False, **limits})


def test_a_ranking_model_that_fails_leaves_requests_as_they_came():
    def fails(requests):
        raise RuntimeError("nan")

    body = json.dumps({"candidates": [{"item_id": 1, "ranking_score": 1}]}).encode()
    (only,) = checker().read(body, Model(fails))
    assert only.scored is only.request


def answered(body: bytes, started: float, model: Model) -> Answered:
    """Returns what becomes of a body that was there at a time, with 200 ms from then to answer."""
    follower, measures = SimpleNamespace(model=model), Measures()
    reranking = Reranking(
        follower, checker(), measures, deadline_ms=200.0, first_list_length=None, log=None, shadow=None
    )
    for part in reranking.parts:
        part.start()
    try:
        return asyncio.run(reranking.answer(body, started))
    finally:
        for part in reranking.parts:
            part.stop()


def test_waiting_for_its_turn_counts_towards_the_deadline_of_a_call():
    one = {"candidates": [{"item_id": item, "ranking_score": 1.0} for item in range(100)]}
    body, model = json.dumps({"requests": [one] * 7}).encode(), Model()
    model.reranker.rank_checked = lambda requests: [
        RankedList(request.request_id, (9,), (9,), (1.0,)) for request in requests
    ]
    late = answered(body, time.monotonic() - 1, model).outcomes
    assert [(one.fallback, one.ranked.candidate_indices) for one in late] == [("deadline", (0, 1, 2))] * 7
    early = answered(body, time.monotonic() + 60, model).outcomes
    assert [(one.fallback, one.ranked.candidate_indices) for one in early] == [(None, (9,))] * 7


def test_what_no_model_could_list_is_answered_by_the_fallback():
    body, model = json.dumps({"candidates": [{"item_id": 1, "ranking_score": 1}]}).encode(), Model()

    def fails(requests):
        raise RuntimeError("the model ranks candidates [-1]")

    model.reranker.rank_checked = fails
    (only,) = answered(body, time.monotonic() + 60, model).outcomes
    assert (only.fallback, only.ranked.item_ids) == ("error", (1,))


class Source:
    """A registry whose version 2 cannot be fetched, and a cache that remembers version 1."""

    def __init__(self, remembered=True):
        self._remembered = FetchedModel("1", Path("one")) if remembered else None

    def version_of(self, alias):
        return "2"

    def fetch(self, version):
        raise ValueError("program.pt2 is other; allowed: as registered in http://ann:s3cr3t@host/")

    def remembered(self, alias):
        return self._remembered


@pytest.mark.parametrize("remembered", [True, False])
def test_where_a_version_is_refused_and_none_is_loaded_the_last_good_one_begins(monkeypatch, remembered):
    monkeypatch.setattr(
        follower,
        "load_quickly",
        lambda fetched, runner: SimpleNamespace(version=fetched.version, runner=runner),
    )
    measures = Measures()
    followed = follower.Follower(Source(remembered), "champion", ServiceSettings(), measures)
    followed.look()
    assert (followed.model.version if followed.model else None) == ("1" if remembered else None)
    assert followed.trouble == (
        "version 2 was refused: program.pt2 is other; allowed: as registered in http://***@host/"
    )
    followed.look()  # within a minute it is not tried again
    assert b"degre_model_load_failures_total 1.0" in measures.text()
    assert followed.trouble.startswith("version 2 was refused")


def test_of_the_remembered_model_the_length_of_lists_is_known(tmp_path):
    source = ModelSource(f"sqlite:///{tmp_path / 'mlflow.db'}", "reranker", tmp_path)
    assert source.remembered_list_length("champion") is None
    folder = tmp_path / "0123"
    folder.mkdir()
    for name in FILES:
        (folder / name).write_text("{}")
    source.remember("champion", FetchedModel("1", folder), 7)
    assert source.remembered_list_length("champion") == 7
    assert source.remembered("champion") == FetchedModel("1", folder)
    assert source.remembered_list_length("challenger") is None
    for file in tmp_path.glob("last-good-*"):
        file.write_text("{")
    assert source.remembered_list_length("champion") is None
