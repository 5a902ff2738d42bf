import pytest
import torch
from kedro.io import DatasetError

from degre_pipeline.datasets import ModelDataset, ModelsDataset, TensorsDataset
from degre_pipeline.reranker.models.stored_models import TrainedWeights

CONFIG = {"width": 8, "dropout": 0.1, "fields": ["user", "item"], "name": "für alle"}


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "model.safetensors")


def test_returns_what_was_saved(path):
    ModelDataset(filepath=path).save(TrainedWeights(weights={"layer.w": torch.eye(2)}, config=CONFIG))
    loaded = ModelDataset(filepath=path).load()
    assert isinstance(loaded, TrainedWeights)
    assert loaded.config == CONFIG
    assert loaded.weights["layer.w"].tolist() == [[1, 0], [0, 1]]


def test_model_without_weights_is_a_value(path):
    ModelDataset(filepath=path).save(TrainedWeights(weights={}, config={}))
    loaded = ModelDataset(filepath=path).load()
    assert dict(loaded.weights) == {}
    assert loaded.config == {}


@pytest.mark.parametrize("unfit", [torch.zeros(1), float("nan")])
def test_config_that_is_no_json_is_refused(path, unfit):
    with pytest.raises(DatasetError, match="JSON"):
        ModelDataset(filepath=path).save(TrainedWeights(weights={}, config={"width": unfit}))
    assert not ModelDataset(filepath=path).exists()


def test_file_without_config_is_refused_by_name(path):
    TensorsDataset(filepath=path).save({"w": torch.zeros(1)})
    with pytest.raises(DatasetError, match=r"model\.safetensors holds no model configuration"):
        ModelDataset(filepath=path).load()


def test_half_written_file_is_refused_by_name(path):
    ModelDataset(filepath=path).save(TrainedWeights(weights={"w": torch.zeros(9)}, config=CONFIG))
    with open(path, "r+b") as file:
        file.truncate(60)
    with pytest.raises(DatasetError, match=r"model\.safetensors \(60 bytes\) is no whole safetensors file"):
        ModelDataset(filepath=path).load()


def test_models_come_back_by_name_and_in_their_order(tmp_path):
    dataset = ModelsDataset(str(tmp_path / "judges.safetensors"))
    models = {
        name: TrainedWeights({"head.weight": torch.full((2,), value)}, {"model": name})
        for name, value in (("second", 2.0), ("external", 1.0), ("second_like", 3.0))
    }
    dataset.save(models)
    loaded = dataset.load()
    assert list(loaded) == ["second", "external", "second_like"]
    for name, model in models.items():
        assert loaded[name].config == model.config
        assert loaded[name].weights.keys() == {"head.weight"}
        assert torch.equal(loaded[name].weights["head.weight"], model.weights["head.weight"])


def test_one_model_alone_is_not_taken_for_several(tmp_path):
    TensorsDataset(str(tmp_path / "one.safetensors")).save({"w": torch.zeros(1)})
    with pytest.raises(DatasetError, match="holds no model configuration"):
        ModelsDataset(str(tmp_path / "one.safetensors")).load()
