"""The logged model, as anybody with MLflow meets it."""

import json
import subprocess
import sys
from importlib.metadata import version

import mlflow
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from mlflow.pyfunc.scoring_server import invocations
from safetensors.torch import load_file

from degre_pipeline.serving.model.signature import as_record

# Imports as on a machine without this project, even where it is installed in the environment.
WITHOUT_THE_PROJECT = """
import importlib.abc, json, sys

ABSENT = {"degre_pipeline", "kedro", "kedro_mlflow", "great_expectations", "ibis", "duckdb"}

class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
import mlflow
model = mlflow.pyfunc.load_model(sys.argv[1])
answer = model.predict(model.input_example)
assert not any(name.split(".")[0] == "degre_pipeline" for name in sys.modules)
print(json.dumps(answer.to_dict("list")))
"""


@pytest.fixture
def expected(reranker, requests):
    ranked = reranker.rerank(requests)
    return {
        "request_id": [7, 8],
        "item_ids": [list(one.item_ids) for one in ranked],
        "candidate_indices": [list(one.candidate_indices) for one in ranked],
        "probabilities": [pytest.approx(one.probabilities) for one in ranked],
    }


def test_loads_and_ranks_where_this_project_is_not_installed(model_folder, expected, tmp_path):
    command = [sys.executable, "-I", "-c", WITHOUT_THE_PROJECT, str(model_folder)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == expected


def test_ranks_as_the_reranker(model, requests, expected):
    assert model.predict([as_record(request) for request in requests]).to_dict("list") == expected
    assert model.predict(pd.DataFrame([as_record(r) for r in requests])).to_dict("list") == expected


def test_requests_without_id_get_their_number(model, requests):
    records = [as_record(request) for request in requests]
    answer = model.predict(
        [{key: record[key] for key in record if key != "request_id"} for record in records]
    )
    assert answer["request_id"].to_list() == [0, 1]


@pytest.mark.parametrize("form", ["inputs", "dataframe_records", "dataframe_split"])
def test_ranks_what_comes_as_json(model, requests, expected, form):
    records = [as_record(request) for request in requests]
    split = {"columns": list(records[0]), "data": [list(record.values()) for record in records]}
    body = json.dumps({form: split if form == "dataframe_split" else records})
    answer = invocations(body, "application/json", model, model.metadata.get_input_schema())
    assert answer.status == 200
    assert pd.DataFrame(json.loads(answer.response)["predictions"]).to_dict("list") == expected


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"ranking_score": None},
            "request 7, candidate 0, field 'ranking_score': value is None; allowed: a finite",
        ),
        (
            {"ranking_score": float("nan")},
            "request 7, candidate 0, field 'ranking_score': value is nan; allowed",
        ),
        (
            {"price": "dear"},
            "request 7, candidate 0, field 'price': value is 'dear'; allowed: a finite number",
        ),
        (
            {"item_id": 12},
            "request 7, candidate 1: item_id is 12, as of candidate 0; allowed: every item once",
        ),
        ({"colour": "red"}, "colour"),
        ({"category": 5}, "category"),
    ],
)
def test_bad_json_is_the_clients_fault(model, requests, values, message):
    record = as_record(requests[0])
    record["candidates"][0].update(values)
    body = json.dumps({"inputs": [record]})
    with pytest.raises(MlflowException, match=message) as caught:
        invocations(body, "application/json", model, model.metadata.get_input_schema())
    assert caught.value.get_http_status_code() == 400


def test_bad_request_is_a_value_error_in_python(model, requests):
    record = {**as_record(requests[0]), "candidates": []}
    with pytest.raises(ValueError, match=r"request 7: candidates is \[\]; allowed: a list, not empty"):
        model.predict([record])


def test_holds_no_pickle(model_folder):
    files = [path for path in model_folder.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert {path.suffix for path in files} == {".safetensors", ".pt2", ".json", ".py", ".txt", ".yaml", ""}
    assert {path.name for path in files if not path.suffix} <= {"MLmodel", "registered_model_meta"}
    assert load_file(next(path for path in files if path.suffix == ".safetensors"))
    flavour = mlflow.models.Model.load(str(model_folder)).flavors["python_function"]
    assert "python_model" not in flavour
    assert flavour["loader_module"] == "mlflow.pyfunc.loaders.code_model"


def test_says_what_it_needs_and_where_it_is_from(model_folder, model, requests):
    needed = ("mlflow", "torch", "numpy", "pandas", "safetensors")
    pins = [f"{package}=={version(package).split('+')[0]}" for package in needed]
    assert (model_folder / "requirements.txt").read_text().split() == pins
    assert model.metadata.metadata == {"run_date": "2026-01-31"}
    assert model.input_example == [as_record(request) for request in requests]


@pytest.mark.slow
def test_the_command_line_of_mlflow_serves_it(model_folder, requests, expected, tmp_path):
    body, answer = tmp_path / "body.json", tmp_path / "answer.json"
    body.write_text(json.dumps({"inputs": [as_record(request) for request in requests]}))
    options = ["-m", model_folder, "-i", body, "-o", answer, "-t", "json", "--env-manager", "local"]
    command = [sys.executable, "-m", "mlflow", "models", "predict", *map(str, options)]
    subprocess.run(command, cwd=tmp_path, check=True)
    assert pd.DataFrame(json.loads(answer.read_text())["predictions"]).to_dict("list") == expected
