import logging
from pathlib import Path

import pytest
import torch
from kedro.io import DatasetError

from degre_pipeline.datasets import CheckpointFolder, CheckpointsDataset
from degre_pipeline.reranker.training.training_state import State

IDENTITY = {"settings": '{"training": {"seed": 0, "epochs": 3}}', "data": "aa", "code": "bb", "torch": "2"}
STATE = State(
    {"model.weight": torch.arange(64.0), "random.cpu": torch.ones(2, 3, dtype=torch.uint8)},
    {"finished": False, "history": [{"epoch": 1.0, "loss": 0.1 + 0.2}]},
)
FILE = "generator.safetensors"
ASIDE = "generator.set_aside.safetensors"


@pytest.fixture
def folder(tmp_path: Path) -> CheckpointFolder:
    folder = CheckpointsDataset(str(tmp_path / "checkpoints")).load()
    folder.of("generator", IDENTITY).save(STATE)
    return folder


def test_a_state_comes_back_as_it_was(folder: CheckpointFolder) -> None:
    loaded = folder.of("generator", IDENTITY).load()

    assert loaded is not None
    assert loaded.facts == STATE.facts
    assert loaded.tensors.keys() == STATE.tensors.keys()
    for name, tensor in STATE.tensors.items():
        assert torch.equal(loaded.tensors[name], tensor)
        assert loaded.tensors[name].dtype == tensor.dtype


def test_there_is_none_before_the_first(tmp_path: Path, folder: CheckpointFolder) -> None:
    assert CheckpointFolder(tmp_path / "nowhere").of("generator", IDENTITY).load() is None
    assert folder.of("mining_evaluator", IDENTITY).load() is None


def test_the_newest_replaces_the_one_before(folder: CheckpointFolder) -> None:
    newer = State({}, {"finished": True, "history": []})
    folder.of("generator", IDENTITY).save(newer)

    assert folder.of("generator", IDENTITY).load() == newer
    assert [path.name for path in folder.folder.iterdir()] == [FILE]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        (
            {"settings": '{"training": {"seed": 7, "epochs": 3}}'},
            "because training.seed was 0 and is 7",
        ),
        ({"data": "cc", "code": "dd"}, "because the data changed; the code changed"),
        ({"torch": "3"}, "because torch was '2' and is '3'"),
    ],
)
def test_that_of_another_training_is_set_aside(
    folder: CheckpointFolder, caplog: pytest.LogCaptureFixture, changed: dict[str, str], reason: str
) -> None:
    other = IDENTITY | changed

    assert folder.of("generator", other).load() is None
    assert f"{ASIDE}, {reason}" in caplog.text
    assert [path.name for path in folder.folder.iterdir()] == [ASIDE]
    folder.of("generator", other).save(STATE)
    assert folder.of("generator", other).load() is not None


def damaged(content: bytes, how: str) -> bytes:
    middle = bytearray(content)
    place = {"tensor": len(content) - 40, "facts": content.index(b"history"), "header": 3}.get(how, 0)
    middle[place] ^= 1
    return {"cut": content[:-1], "empty": b"", "text": b"no tensors"}.get(how, bytes(middle))


@pytest.mark.parametrize("how", ["cut", "empty", "text", "tensor", "facts", "header"])
def test_a_damaged_one_is_set_aside(
    folder: CheckpointFolder, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    path = folder.folder / FILE
    path.write_bytes(damaged(path.read_bytes(), how))

    with caplog.at_level(logging.WARNING):
        assert folder.of("generator", IDENTITY).load() is None
    assert "Training begins anew" in caplog.text
    assert "because it is damaged" in caplog.text
    assert [path.name for path in folder.folder.iterdir()] == [ASIDE]


def test_another_kind_of_tensor_file_is_set_aside(folder: CheckpointFolder) -> None:
    from safetensors.torch import save_file

    for header in (None, {"checkpoint": "[]"}, {"checkpoint": '{"told": "1", "sha256": ""}'}):
        save_file({"x": torch.ones(1)}, folder.folder / FILE, header)
        assert folder.of("generator", IDENTITY).load() is None


def test_what_a_killed_write_left_is_removed(folder: CheckpointFolder) -> None:
    leftover = folder.folder / f".{FILE}.123.partial"
    leftover.mkdir()
    (leftover / ".tmpKK6hK4").write_bytes(b"half")
    other = folder.folder / ".mining_evaluator.safetensors.124.partial"
    other.mkdir()
    folder.of("generator", IDENTITY).load()

    assert not leftover.exists()
    assert other.exists()


def test_no_node_can_return_it(tmp_path: Path) -> None:
    dataset = CheckpointsDataset(str(tmp_path / "checkpoints"))

    with pytest.raises(DatasetError, match="written by trainings while they run"):
        dataset.save(CheckpointFolder(tmp_path))
    assert dataset.exists()
    assert not list(tmp_path.iterdir())
