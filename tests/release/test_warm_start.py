"""What is kept of a version is found again by the days after it, and only where it can be gone on from."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import mlflow
import pytest
import torch
from kedro.io import DatasetError
from safetensors.torch import save_file

from degre_pipeline.release.promotion import promote
from degre_pipeline.release.served_before import champions_before, first_champion_before
from degre_pipeline.release.warm_start import MODELS, StartingPoint, keep_for_later, start_of_day
from degre_pipeline.reranker.features import NO_FEATURES, fit_feature_space
from degre_pipeline.reranker.models.stored_models import TrainedWeights
from degre_pipeline.reranker.schema import Field

FIELDS = (Field("item_id", "categorical", "item"),)
OTHER_FIELDS = (Field("brand", "categorical", "item"),)
DIVISION = {"external_share": 0.3, "split_seed": 0}


@pytest.fixture
def champions(registry: mlflow.MlflowClient) -> mlflow.MlflowClient:
    """Versions 1 to 3 of three days, each the champion after the one before."""
    registry.create_registered_model("reranker")
    for day in (1, 2, 3):
        with mlflow.start_run() as run:
            pass
        space = fit_feature_space(FIELDS, {"item_id": list(range(day))})
        models = {
            name: TrainedWeights({"w": torch.full((2,), float(day))}, {"model": name}) for name in MODELS
        }
        keep_for_later(registry, run.info.run_id, StartingPoint(space, models))
        tags = {"run_date": f"2026-02-0{day}", "gate_outcome": "promote"}
        tags |= {name: str(value) for name, value in DIVISION.items()}
        registry.create_model_version("reranker", run.info.artifact_uri, run.info.run_id, tags)
        promote(registry, "reranker", day, who="a test", why="it is its turn")
    return registry


def test_a_day_starts_from_the_last_champion_of_an_earlier_day(champions) -> None:
    for day, version in (("2026-02-02", 1), ("2026-02-03", 2), ("2026-03-01", 3)):
        start = start_of_day("reranker", day, fields=FIELDS, **DIVISION)

        assert start.models["generator"].weights["w"].tolist() == [version, version]
        assert start.models["mining_evaluator"].config == {"model": "mining_evaluator"}
        assert start.feature_space.vocabularies["item_id"] == tuple(str(item) for item in range(version))


def test_weights_that_an_earlier_version_of_this_project_kept_are_still_read(champions) -> None:
    run_id = champions.get_model_version("reranker", "3").run_id
    for name in MODELS:  # that version wrote no hashes
        with TemporaryDirectory() as folder:
            file = f"{folder}/{name}.safetensors"
            save_file({"w": torch.full((2,), 7.0)}, file, metadata={"config": json.dumps({"model": "old"})})
            champions.log_artifact(run_id, file, "trained")

    start = start_of_day("reranker", "2026-03-01", fields=FIELDS, **DIVISION)

    assert start.models["generator"].config == {"model": "old"}
    assert start.models["generator"].weights["w"].tolist() == [7.0, 7.0]


def test_a_changed_bit_in_kept_weights_is_noticed(champions, tmp_path) -> None:
    run_id = champions.get_model_version("reranker", "3").run_id
    file = Path(champions.download_artifacts(run_id, "trained/generator.safetensors", str(tmp_path)))
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    champions.log_artifact(run_id, str(file), "trained")

    with pytest.raises(DatasetError, match="'w' is not what was written"):
        start_of_day("reranker", "2026-03-01", fields=FIELDS, **DIVISION)


def test_after_a_way_back_the_next_day_starts_from_the_version_that_serves(champions) -> None:
    promote(champions, "reranker", 1, who="a test", why="version 3 was no good")

    assert [int(one.version) for one in champions_before("reranker", "2026-03-01")] == [1, 3, 2]


def test_the_first_champion_is_the_first_even_if_it_serves_again(champions) -> None:
    promote(champions, "reranker", 1, who="a test", why="version 3 was no good")

    assert int(first_champion_before("reranker", "2026-03-01").version) == 1
    assert first_champion_before("reranker", "2026-02-01") is None


def test_before_the_first_champion_there_is_nothing_to_start_from(champions, caplog) -> None:
    start = start_of_day("reranker", "2026-02-01", fields=FIELDS, **DIVISION)

    assert (start.feature_space, start.models["generator"].weights) == (NO_FEATURES, {})
    assert "no champion of reranker before 2026-02-01" in caplog.text


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"fields": OTHER_FIELDS}, "its fields are not those of list_building.fields"),
        ({"external_share": 0.5}, "('0.3', '0'), now 0.5 and 0"),
        ({"split_seed": 4}, "('0.3', '0'), now 0.3 and 4"),
    ],
)
def test_another_division_of_requests_or_other_fields_start_from_nothing(
    champions, caplog, changed, reason
) -> None:
    start = start_of_day("reranker", "2026-02-04", **{"fields": FIELDS, **DIVISION, **changed})

    assert start.feature_space == NO_FEATURES
    assert "not from version 3" in caplog.text
    assert reason in caplog.text
