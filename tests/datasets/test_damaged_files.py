"""One changed bit in a file between two pipelines: an error of the kind that no other try can mend."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from kedro.io import AbstractDataset, DatasetError

from degre_pipeline.cli import WRONG, exit_code
from degre_pipeline.datasets import (
    CheckpointFolder,
    JSONDataset,
    ModelDataset,
    Shards,
    ShardsDataset,
    TableDataset,
    TensorsDataset,
    TextDataset,
)
from degre_pipeline.datasets.seals import seal_of
from degre_pipeline.reranker.models.stored_models import TrainedWeights
from degre_pipeline.reranker.training.training_state import State

DAMAGED = r"damaged|no whole safetensors|not what was written"
TENSORS = {
    "rows": torch.arange(6, dtype=torch.int32).reshape(2, 3),
    "flags": torch.tensor([True, False]),
    "weights": torch.tensor([0.5, -1.25]),
    "none": torch.zeros(0, 2),
}


def with_one_bit_changed(path: Path, step: int = 1) -> Iterator[int]:
    """Changes one bit of every byte, or of every few bytes, in turn; yields the place and then mends it."""
    whole = path.read_bytes()
    for place in range(0, len(whole), step):
        broken = bytearray(whole)
        broken[place] ^= 1 << (place % 8)
        path.write_bytes(bytes(broken))
        yield place
    path.write_bytes(whole)


def check_every_bit(dataset: AbstractDataset[Any, Any], path: Path, step: int = 1) -> None:
    for place in with_one_bit_changed(path, step):
        with pytest.raises(DatasetError, match=DAMAGED) as refused:
            dataset.load()
        assert exit_code(refused.value) == WRONG, place
        assert str(path) in str(refused.value)
    dataset.load()


def test_tensors(tmp_path: Path) -> None:
    path = tmp_path / "requests.safetensors"
    dataset = TensorsDataset(str(path))
    dataset.save(TENSORS)
    check_every_bit(dataset, path)


def test_a_model_with_its_configuration(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    dataset = ModelDataset(str(path))
    dataset.save(TrainedWeights({"w": torch.tensor([1.0, 2.0])}, {"model": "generator", "width": 8}))
    check_every_bit(dataset, path)


def test_shards(tmp_path: Path) -> None:
    dataset = ShardsDataset(str(tmp_path))
    dataset.save(Shards("one", ("a", "b"), lambda name: {**TENSORS, "name": torch.tensor(ord(name))}))
    loaded = dataset.load()
    for read in (lambda: loaded.load("b"), lambda: loaded.concat("rows")):
        path = tmp_path / "b.safetensors"
        whole = path.read_bytes()
        place = whole.index(TENSORS["rows"].numpy().tobytes())
        path.write_bytes(whole[:place] + b"\7" + whole[place + 1 :])
        with pytest.raises(DatasetError, match=r"b\.safetensors: 'rows' is not what was written") as refused:
            read()
        assert exit_code(refused.value) == WRONG
        path.write_bytes(whole)
        read()


def test_a_checkpoint_is_set_aside(tmp_path: Path) -> None:
    checkpoint = CheckpointFolder(tmp_path).of("training", {"code": "1"})
    for step in (0, 7):
        checkpoint.save(State({"w": torch.tensor([1.0, 2.0])}, {"epoch": 1}))
        next(place for place in with_one_bit_changed(checkpoint.path) if place > 8 + step)
        assert checkpoint.load() is None
        assert not checkpoint.path.exists()


def test_a_file_without_hashes_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "requests.safetensors"
    save_file({"rows": TENSORS["rows"]}, path)
    with pytest.raises(DatasetError, match="damaged, or of an earlier version of this project"):
        TensorsDataset(str(path)).load()


def test_a_table(tmp_path: Path) -> None:
    path = tmp_path / "candidates.parquet"
    dataset = TableDataset(str(path))
    draw = np.random.default_rng(0)
    table = pd.DataFrame({"item_id": np.arange(50), "score": draw.normal(size=50), "brand": ["a", "b"] * 25})
    dataset.save(table)
    check_every_bit(dataset, path, step=5)


@pytest.mark.parametrize("dataset", [JSONDataset, TextDataset])
def test_json_and_text(tmp_path: Path, dataset: type[AbstractDataset[Any, Any]]) -> None:
    path = tmp_path / "metrics.json"
    one = dataset(str(path))
    one.save('{"utility": 1.25}')
    check_every_bit(one, path)


def test_a_seal_that_changed_is_no_seal(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    dataset = JSONDataset(str(path))
    dataset.save({"utility": 1.25})
    seal = seal_of(path)
    for _ in with_one_bit_changed(seal, step=7):
        with pytest.raises(DatasetError, match=r"not what was written.*delete \.metrics\.json\.sha256"):
            dataset.load()
    seal.unlink()
    assert dataset.load() == {"utility": 1.25}


def test_the_pages_of_a_table_without_a_seal(tmp_path: Path) -> None:
    path = tmp_path / "candidates.parquet"
    dataset = TableDataset(str(path))
    dataset.save(pd.DataFrame({"item_id": np.arange(50)}))
    seal_of(path).unlink()
    whole = bytearray(path.read_bytes())
    whole[40] ^= 4
    path.write_bytes(bytes(whole))
    with pytest.raises(DatasetError, match=r"candidates\.parquet is damaged"):
        dataset.load()


@pytest.mark.parametrize("stopped_at", range(4))
def test_a_save_that_is_stopped_at_any_moment_leaves_a_file_that_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stopped_at: int
) -> None:
    path = tmp_path / "metrics.json"
    JSONDataset(str(path)).save("old")
    swaps = iter(range(10))
    swap = os.replace

    def stopping(source: Path, target: Path) -> None:
        if next(swaps) == stopped_at:
            raise KeyboardInterrupt
        swap(source, target)

    monkeypatch.setattr(os, "replace", stopping)
    if stopped_at < 3:
        with pytest.raises(KeyboardInterrupt):
            JSONDataset(str(path)).save("new")
    else:
        JSONDataset(str(path)).save("new")
    monkeypatch.undo()
    assert JSONDataset(str(path)).load() == ("old" if stopped_at < 2 else "new")
    JSONDataset(str(path)).save("newer")
    assert JSONDataset(str(path)).load() == "newer"


def test_a_table_that_is_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "candidates.parquet"
    TableDataset(str(path)).save(pd.DataFrame({"item_id": [1, 2]}))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DatasetError, match=r"candidates\.parquet is not what .*Delete") as refused:
        TableDataset(str(path)).load()
    assert exit_code(refused.value) == WRONG
