from pathlib import Path

import pytest
import torch
from kedro.io import DatasetError

from degre_pipeline.datasets import TensorsDataset


@pytest.fixture
def dataset(tmp_path: Path) -> TensorsDataset:
    return TensorsDataset(filepath=str(tmp_path / "folder" / "tensors.safetensors"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "tensors.safetensors"


def test_returns_what_was_saved(dataset):
    saved = {
        "ids": torch.tensor([3, 1, 2]),
        "mask": torch.tensor([[True, False]]),
        "scores": torch.tensor([0.5, float("nan")]),
        "none": torch.empty(0, 4),
    }
    dataset.save(saved)
    loaded = dataset.load()
    assert set(loaded) == set(saved)
    for name, tensor in saved.items():
        torch.testing.assert_close(loaded[name], tensor, rtol=0, atol=0, equal_nan=True)
        assert loaded[name].dtype == tensor.dtype


@pytest.mark.parametrize("header", [None, {"source": "simulated"}])
def test_empty_dict_is_a_value(tmp_path, header):
    dataset = TensorsDataset(filepath=str(tmp_path / "empty.safetensors"), header=header)
    dataset.save({})
    assert dataset.exists()
    assert dataset.load() == {}


def test_views_of_one_tensor_are_stored_apart(dataset):
    whole = torch.arange(6.0)
    dataset.save({"whole": whole, "again": whole, "part": whole[2:4], "turned": whole.view(2, 3).T})
    loaded = dataset.load()
    assert loaded["again"].tolist() == loaded["whole"].tolist() == [0, 1, 2, 3, 4, 5]
    assert loaded["part"].tolist() == [2, 3]
    assert loaded["turned"].tolist() == [[0, 3], [1, 4], [2, 5]]


def test_editing_what_was_loaded_does_not_change_the_file(dataset):
    dataset.save({"a": torch.zeros(2)})
    dataset.load()["a"][0] = 7
    assert dataset.load()["a"].tolist() == [0, 0]


def test_what_was_loaded_survives_the_next_save(dataset):
    dataset.save({"a": torch.zeros(100_000)})
    before = dataset.load()
    dataset.save({"a": torch.ones(3)})
    assert before["a"].sum() == 0


@pytest.mark.parametrize("kept", [0, 4, 20, -1])
def test_half_written_file_is_refused_by_name(dataset, file, kept):
    dataset.save({"a": torch.arange(5)})
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(DatasetError, match=r"tensors\.safetensors \(\d+ bytes\) is no whole"):
        dataset.load()


def test_missing_file_is_named(dataset):
    with pytest.raises(DatasetError, match=r"folder/tensors\.safetensors does not exist"):
        dataset.load()


def test_failed_save_keeps_the_old_file_and_leaves_no_trace(dataset, file):
    dataset.save({"a": torch.zeros(1)})
    with pytest.raises(DatasetError, match="'b' is a list"):
        dataset.save({"a": torch.ones(1), "b": [1]})
    assert dataset.load()["a"].tolist() == [0]
    assert list(file.parent.iterdir()) == [file]


def test_interrupted_write_keeps_the_old_file_and_leaves_no_trace(dataset, file, monkeypatch):
    dataset.save({"a": torch.zeros(1)})

    def write_half_then_stop(tensors, path, metadata=None):
        Path(path).write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr("degre_pipeline.datasets.tensor_files.save_file", write_half_then_stop)
    with pytest.raises(KeyboardInterrupt):
        dataset.save({"a": torch.ones(1)})
    assert dataset.load()["a"].tolist() == [0]
    assert list(file.parent.iterdir()) == [file]


def test_file_can_be_read_by_other_users(dataset, file):
    dataset.save({"a": torch.zeros(1)})
    assert file.stat().st_mode & 0o777 == 0o644
