"""Projects in folders whose names mean something in addresses and patterns."""

import importlib.util
import shutil
from pathlib import Path

import mlflow
import pytest

import project_runs
from degre_pipeline import locations
from degre_pipeline.locations import database_file, sqlite_address, tracking_uri
from degre_pipeline.release.command_line import find_place

NAMES = ["plain", "a b", "feature%2Fx", "%41", "q?x=1", "h#x", "$HOME ${x}", "[a]", "ümlaut", "it's", "a&b;c"]


@pytest.mark.parametrize("name", NAMES)
def test_mlflow_finds_the_database_of_a_folder_of_any_name(
    name: str, tmp_path: Path, mlflow_database: Path
) -> None:
    database = tmp_path / name / "mlflow.db"
    database.parent.mkdir()
    shutil.copy(mlflow_database, database)
    address = sqlite_address(database)
    mlflow.MlflowClient(address).create_experiment("here", artifact_location=database.parent.as_uri())
    assert mlflow.MlflowClient(address).get_experiment_by_name("here") is not None
    assert mlflow.MlflowClient(address).search_registered_models() == []
    assert database_file(address) == database
    assert [path.name for path in tmp_path.iterdir()] == [name], "something was made beside the folder"
    assert b"here" in database.read_bytes()


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:5000", "postgresql://a@b/c", "sqlite://", "sqlite:///:memory:"]
)
def test_other_places_have_no_file(address: str) -> None:
    assert database_file(address) is None


def test_an_environment_in_which_mlflow_cannot_open_a_database_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "feature%2Fx" / ".venv" / "mlflow"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    found = importlib.util.spec_from_file_location("mlflow", package / "__init__.py")
    monkeypatch.setattr(locations, "find_spec", lambda name: found if name == "mlflow" else None)
    with pytest.raises(
        ValueError, match=r"MLflow is installed in '.*%2Fx.*'; allowed: .* a path without '%'"
    ):
        tracking_uri(None, tmp_path)
    assert tracking_uri("http://127.0.0.1:5000", tmp_path) == "http://127.0.0.1:5000"


def test_a_project_in_a_folder_of_any_name(
    tmp_path: Path, mlflow_database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "ü %41 q?x#y $HOME"
    project = project_runs.lay_out(folder, mlflow_database)
    project_runs.run(project, "ingestion")
    project_runs.run(project, "list_building")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)  # MLflow sets it itself
    place = find_place(project=project, env="test", tracking_uri=None, model=None)
    client = mlflow.MlflowClient(place.tracking_uri)
    experiment = client.get_experiment_by_name("degre_pipeline")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    assert [run.info.status for run in runs] == ["FINISHED", "FINISHED"]
    assert (project / "data/08_reporting/test/data_docs/index.html").is_file()
    assert {path.parent.name for path in (project / "mlartifacts").rglob("index.html")} == {"data_docs"}
    assert [path.name for path in tmp_path.iterdir()] == [folder.name], "something was made beside the folder"
