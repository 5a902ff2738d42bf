"""A real service follows a real registry: switches under load, failures of MLflow, bad models."""

import contextlib
import json
import os
import pickle
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import service_process
from pyarrow import dataset
from service_process import Load, free_port, mlflow_server, ready, wait_until
from small_models import NAME, REQUESTS, SPACE, trained

from degre_pipeline.serving.model.program import export_program, save_program
from degre_pipeline.serving.model.reranking_model import build_reranker
from degre_pipeline.serving.model.served_files import DIGESTS_TAG, digests_of

EAGER = ("--runner", "eager", "--deadline-ms", "2000")


def lists_of(seed: int) -> list[int]:
    return list(build_reranker(trained(seed), SPACE).rerank(REQUESTS)[0].candidate_indices)


def assert_whole(load: Load, versions: set[str]) -> None:
    """Every request was answered, each with the list of the version that it names."""
    assert not load.failures
    assert {status for status, _, _ in load.answers} == {200}
    expected = {"1": lists_of(0), "2": lists_of(1)}
    for _, answer, _ in load.answers:
        only = answer["lists"][0]
        assert only["fallback"] is None
        assert only["candidate_indices"] == expected[answer["model_version"]]
    assert {answer["model_version"] for _, answer, _ in load.answers} == versions


def test_versions_differ():
    """Guards the tests below: an answer shows which version it comes from."""
    assert lists_of(0) != lists_of(1)


def test_switches_under_load_without_a_failed_request(registry, tmp_path, body):
    with service_process.service(registry.uri, tmp_path, *EAGER) as client:
        ready(client, "1")
        with Load(client.port, body, clients=3, pause=0.005) as load:
            for version in ("2", "1", "2"):
                registry.promote(version)
                wait_until(lambda v=version: client.version()["model_version"] == v, 60, version)
                time.sleep(0.3)
        assert client.metric('degre_fallbacks_total{reason="error"}') == 0
    assert_whole(load, {"1", "2"})


@pytest.mark.slow
def test_a_switch_made_on_a_server_is_followed_and_a_stopped_server_does_no_harm(registry, tmp_path, body):
    port = free_port()
    uri = f"http://127.0.0.1:{port}"
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(
            mlflow_server(registry.uri, registry.folder, port, tmp_path / "mlflow.log")
        )
        client = stack.enter_context(service_process.service(uri, tmp_path, *EAGER))
        ready(client, "1")
        with Load(client.port, body, pause=0.01) as load:
            registry.promote("2")
            wait_until(lambda: client.version()["model_version"] == "2", 60, "version 2")
            service_process.end(server)
            wait_until(lambda: client.metric("degre_registry_errors_total") > 0, 60, "an error noticed")
            time.sleep(1)
        assert client.get("/health/ready") == (200, "ready")
        assert "could not be looked up" in client.version()["trouble"]
        stack.enter_context(mlflow_server(registry.uri, registry.folder, port, tmp_path / "mlflow_again.log"))
        wait_until(lambda: client.version()["trouble"] is None, 60, "recovery")
    assert_whole(load, {"1", "2"})


@pytest.mark.slow
def test_starts_from_the_last_good_model_when_mlflow_is_down(registry, tmp_path, body):
    with service_process.service(registry.uri, tmp_path, *EAGER) as client:
        ready(client, "1")
    nowhere = f"http://127.0.0.1:{free_port()}"
    with service_process.service(nowhere, tmp_path, *EAGER) as client:
        ready(client, "1")
        assert client.rerank(body)[1]["lists"][0]["candidate_indices"] == lists_of(0)
        assert "could not be looked up" in client.version()["trouble"]


@pytest.mark.slow
def test_a_restart_with_a_refused_champion_starts_from_the_last_good_one(registry, tmp_path, body):
    with service_process.service(registry.uri, tmp_path, *EAGER) as client:
        ready(client, "1")
    replace_by_pickle(registry)
    registry.promote("2")
    with service_process.service(registry.uri, tmp_path, *EAGER) as client:
        ready(client, "1")
        assert client.rerank(body)[1]["lists"][0]["candidate_indices"] == lists_of(0)
        assert "version 2 was refused" in client.version()["trouble"]
        assert client.metric("degre_model_load_failures_total") == 1
        assert client.metric('degre_last_look_timestamp_seconds{alias="champion"}') > time.time() - 60
        registry.promote("1")
        wait_until(lambda: client.version()["trouble"] is None, 60, "recovery")


def test_a_large_call_keeps_no_small_one_waiting(registry, tmp_path, body):
    candidates = [{"item_id": one, "ranking_score": float(one)} for one in range(128)]
    large = {"requests": [{"candidates": candidates}] * 64}
    overtaken = 0
    with service_process.service(registry.uri, tmp_path, *EAGER, "--deadline-ms", "60000") as client:
        ready(client, "1")
        for _ in range(5):
            with ThreadPoolExecutor(1) as pool:
                answer = pool.submit(service_process.Client(client.port).rerank, large)
                time.sleep(0.02)  # the large one has begun, and takes far longer than the small one
                assert client.rerank(body)[1]["lists"][0]["fallback"] is None
                overtaken += not answer.done()
                assert answer.result()[0] == 200
    assert overtaken


def without_example(registry, version: str) -> None:
    """Takes the stored requests out of a version, and gives it the digests of what is left."""
    file = registry.artifact(version, "example.json")
    file.write_text(json.dumps({**json.loads(file.read_text()), "requests": [], "lists": []}))
    source = registry.client.get_model_version(NAME, version).source
    registry.client.set_logged_model_tags(
        source.removeprefix("models:/"), {DIGESTS_TAG: digests_of(file.parent)}
    )


def test_a_version_without_stored_requests_proves_nothing_and_is_refused(registry, tmp_path):
    without_example(registry, "2")
    with service_process.service(registry.uri, tmp_path, *EAGER) as client:
        ready(client, "1")
        registry.promote("2")
        wait_until(lambda: client.metric("degre_model_load_failures_total") == 1, 60, "refusal")
        assert "the stored example has no request" in client.version()["trouble"]
        registry.promote("1")
        wait_until(lambda: client.version()["trouble"] is None, 60, "recovery")


@pytest.mark.slow
def test_before_a_model_is_loaded_a_list_is_as_long_as_that_of_the_model_that_worked_last(
    registry, tmp_path, body
):
    with service_process.service(registry.uri, tmp_path, *EAGER) as client:
        ready(client, "1")
    registry.client.delete_registered_model_alias("reranker", "champion")
    with service_process.service(registry.uri, tmp_path, *EAGER) as client:
        remembered = client.rerank(body)[1]["lists"][0]
    (tmp_path / "set").mkdir()
    with service_process.service(registry.uri, tmp_path / "set", *EAGER, "--list-length", "2") as client:
        told = client.rerank(body)[1]["lists"][0]
        assert client.get("/health/ready") == (503, "no model is loaded yet")
    assert (remembered["item_ids"], remembered["fallback"]) == ([11, 12, 13], "no_model")
    assert (told["item_ids"], told["fallback"]) == ([11, 12], "no_model")


def test_nothing_said_in_public_holds_the_password_of_mlflow(tmp_path):
    address = f"http://ann:s3cr3t@127.0.0.1:{free_port()}"
    with service_process.service(address, tmp_path, *EAGER, token="open sesame") as client:
        wait_until(lambda: client.version()["trouble"], 60, "trouble")
        said = client.get("/health/ready")[1] + client.get("/version")[1]
        stranger = service_process.Client(client.port)
        assert stranger.get("/health/ready") == (503, "no model is loaded yet")
    said += (tmp_path / "service.log").read_text()
    assert "could not be looked up" in said
    assert "s3cr3t" not in said
    assert "ann" not in said


def replace_by_pickle(registry) -> None:
    registry.artifact("2", "program.pt2").write_bytes(pickle.dumps(os.getcwd))


def swap_program(registry) -> None:
    """A whole program of other weights, which only the digest can tell apart."""
    registry.artifact("2", "program.pt2").unlink()
    save_program(export_program(trained(7)), registry.artifact("2", "program.pt2"))


def change_features(registry) -> None:
    file = registry.artifact("2", "feature_space.json")
    file.write_text(file.read_text().replace("regular", "irregular"))


@pytest.mark.parametrize("tamper", [replace_by_pickle, swap_program, change_features])
def test_a_tampered_model_is_refused_and_the_last_good_one_stays(registry, tmp_path, body, tamper):
    tamper(registry)
    with service_process.service(registry.uri, tmp_path, *EAGER) as client:
        ready(client, "1")
        registry.promote("2")
        wait_until(lambda: client.metric("degre_model_load_failures_total") == 1, 60, "refusal")
        version = client.version()
        assert version["model_version"] == "1"
        assert "version 2 was refused" in version["trouble"]
        assert "as registered" in version["trouble"]
        assert client.rerank(body)[1]["model_version"] == "1"


@pytest.mark.slow
def test_onnx_runtime_gives_the_same_lists(registry, tmp_path, body):
    with service_process.service(registry.uri, tmp_path, "--runner", "onnxruntime") as client:
        ready(client, "1")
        assert client.version()["runner"] == "onnxruntime"
        assert client.rerank(body)[1]["lists"][0]["candidate_indices"] == lists_of(0)


@pytest.mark.slow
def test_auto_serves_with_onnx_runtime_until_the_compiled_library_is_there(registry, tmp_path, body):
    with service_process.service(registry.uri, tmp_path) as client:
        ready(client, "1")
        first = client.version()["runner"]
        with Load(client.port, body, pause=0.02) as load:
            wait_until(lambda: client.version()["runner"] == "aotinductor", 300, "the library")
    assert first == "onnxruntime"
    assert not load.failures
    assert {status for status, _, _ in load.answers} == {200}


def test_logs_what_was_answered_and_what_the_shadow_would_have(registry, tmp_path, body):
    registry.promote("2", "challenger")
    folder = tmp_path / "predictions"
    options = (
        *EAGER,
        "--prediction-log",
        str(folder),
        "--log-seconds",
        "0.2",
        "--shadow-alias",
        "challenger",
    )
    with service_process.service(registry.uri, tmp_path, *options, "--shadow-share", "1") as client:
        ready(client, "1")
        # The shadow loads at its own pace: requests are sent until it has ranked some.
        wait_until(
            lambda: (
                client.rerank(body)[0] == 200
                and client.metric('degre_shadow_lists_total{compared="same_items"}')
                + client.metric('degre_shadow_lists_total{compared="other"}')
                > 2
            ),
            60,
            "the shadow",
        )
        assert client.rerank({**body, "request_id": "joined"})[0] == 200
        time.sleep(1)
    rows = dataset.dataset(folder, partitioning="hive").to_table().to_pylist()
    joined = {row["role"]: row for row in rows if row["request_id"] == "joined"}
    for role, version, seed in (("champion", "1", 0), ("shadow", "2", 1)):
        ranked = build_reranker(trained(seed), SPACE).rerank(REQUESTS)[0]
        row = joined[role]
        assert (row["model_version"], row["fallback"]) == (version, None)
        assert row["item_ids"] == [str(one) for one in ranked.item_ids]
        assert row["candidate_indices"] == list(ranked.candidate_indices)
        assert row["probabilities"] == pytest.approx(ranked.probabilities, abs=1e-5)
        assert row["date"] == row["answered_at"].date().isoformat()
    assert not list(folder.rglob("*.partial"))
