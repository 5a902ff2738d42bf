import json

import pytest
import torch
from kedro.io import DatasetError

from degre_pipeline.datasets import Shards, ShardsDataset, TensorsDataset

NAMES = ("a", "b", "c", "d")


class Maker:
    """Makes {"value": [place of the name, same + 10]} and notes what it made."""

    def __init__(self, stop_at=None):
        self.made = []
        self._stop_at = stop_at

    def __call__(self, name):
        if name == self._stop_at:
            raise KeyboardInterrupt
        self.made.append(name)
        place = NAMES.index(name)
        return {"value": torch.tensor([place, place + 10])}


@pytest.fixture
def dataset(tmp_path):
    return ShardsDataset(path=str(tmp_path / "mined"), resume_command="kedro run --pipelines=mining")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "mined"


def save(dataset, maker, fingerprint="f1", names=NAMES):
    dataset.save(Shards(fingerprint=fingerprint, names=names, make=maker))
    return maker.made


def interrupt(dataset, at, fingerprint="f1"):
    maker = Maker(stop_at=at)
    with pytest.raises(KeyboardInterrupt):
        save(dataset, maker, fingerprint)
    return maker.made


def put_shard(folder, name, fingerprint):
    path = str(folder / f"{name}.safetensors")
    TensorsDataset(filepath=path, header={"fingerprint": fingerprint, "shard": name}).save({})


def test_loads_shards_in_declared_order(dataset):
    save(dataset, Maker(), names=("c", "a"))
    shards = dataset.load()
    assert list(shards) == ["c", "a"]
    assert len(shards) == 2
    assert shards.fingerprint == "f1"
    assert shards.load("a")["value"].tolist() == [0, 10]
    assert shards.concat("value").tolist() == [2, 12, 0, 10]


def test_interrupted_run_goes_on_where_it_stopped(dataset):
    assert interrupt(dataset, at="c") == ["a", "b"]
    assert save(dataset, Maker()) == ["c", "d"]
    assert dataset.load().concat("value").tolist() == [0, 10, 1, 11, 2, 12, 3, 13]


def test_unfinished_folder_does_not_exist_and_says_how_far_it_got(dataset):
    interrupt(dataset, at="c")
    assert not dataset.exists()
    with pytest.raises(DatasetError, match=r"did not finish: 2 of 4 shards.*kedro run --pipelines=mining"):
        dataset.load()


def test_empty_folder_says_what_to_run(dataset):
    assert not dataset.exists()
    with pytest.raises(DatasetError, match="holds no shards; run `kedro run --pipelines=mining`"):
        dataset.load()


def test_second_run_makes_nothing(dataset, folder):
    save(dataset, Maker())
    times = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert save(dataset, Maker()) == []
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == times


def test_other_fingerprint_replaces_everything(dataset, folder):
    save(dataset, Maker())
    assert save(dataset, Maker(), fingerprint="f2", names=("a", "b")) == ["a", "b"]
    assert sorted(path.stem for path in folder.glob("*.safetensors")) == ["a", "b"]
    assert dataset.load().fingerprint == "f2"


def test_interrupted_replacement_is_not_taken_for_the_old_result(dataset):
    save(dataset, Maker())
    interrupt(dataset, at="b", fingerprint="f2")
    assert not dataset.exists()
    with pytest.raises(DatasetError, match="1 of 4 shards"):
        dataset.load()
    assert save(dataset, Maker(), fingerprint="f2") == ["b", "c", "d"]


def test_truncated_shard_is_made_again(dataset, folder):
    interrupt(dataset, at="d")
    shard = folder / "b.safetensors"
    shard.write_bytes(shard.read_bytes()[:-1])
    assert save(dataset, Maker()) == ["b", "d"]


def test_finished_folder_with_a_truncated_shard_is_repaired(dataset, folder):
    save(dataset, Maker())
    (folder / "b.safetensors").write_bytes(b"")
    assert save(dataset, Maker()) == ["b"]
    assert dataset.load().concat("value").tolist() == [0, 10, 1, 11, 2, 12, 3, 13]


def test_stray_shard_of_another_run_is_made_again(dataset, folder):
    interrupt(dataset, at="c")
    put_shard(folder, "b", "f0")
    assert save(dataset, Maker()) == ["b", "c", "d"]


def test_shard_under_another_name_is_made_again(dataset, folder):
    interrupt(dataset, at="c")
    (folder / "a.safetensors").replace(folder / "b.safetensors")
    assert save(dataset, Maker()) == ["a", "b", "c", "d"]


def test_leftovers_are_removed(dataset, folder):
    interrupt(dataset, at="b")
    (folder / ".b.safetensors.99.partial").mkdir()
    (folder / ".b.safetensors.99.partial" / ".tmpKK6hK4").write_bytes(b"half")
    save(dataset, Maker())
    assert sorted(path.name for path in folder.iterdir()) == [
        "_STARTED.json",
        "_SUCCESS.json",
        *(f"{name}.safetensors" for name in NAMES),
    ]


def test_load_refuses_a_damaged_shard_by_name(dataset, folder):
    save(dataset, Maker())
    shard = folder / "c.safetensors"
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(DatasetError, match=r"c\.safetensors \(\d+ bytes\) is no whole safetensors file"):
        dataset.load()
    shard.unlink()
    with pytest.raises(DatasetError, match=r"c\.safetensors does not exist"):
        dataset.load()


def test_load_refuses_a_shard_of_another_run_by_name(dataset, folder):
    save(dataset, Maker())
    TensorsDataset(filepath=str(folder / "c.safetensors"), header={"shard": "c f0"}).save({})
    with pytest.raises(DatasetError, match=r"c\.safetensors is the shard and run 'c f0', wanted 'c f1'"):
        dataset.load()


def test_load_refuses_a_shard_of_another_size_by_name(dataset, folder):
    save(dataset, Maker())
    TensorsDataset(filepath=str(folder / "c.safetensors"), header={"shard": "c f1"}).save({})
    with pytest.raises(DatasetError, match=r"c\.safetensors has \d+ bytes, _SUCCESS\.json lists \d+"):
        dataset.load()


def test_half_written_success_marker_counts_as_none(dataset, folder):
    save(dataset, Maker())
    (folder / "_SUCCESS.json").write_text('{"fingerprint":')
    assert not dataset.exists()
    assert save(dataset, Maker()) == []
    assert json.loads((folder / "_SUCCESS.json").read_text())["names"] == list(NAMES)


def test_unknown_shard_and_key_are_named(dataset):
    save(dataset, Maker())
    with pytest.raises(KeyError, match="no shard 'z'"):
        dataset.load().load("z")
    with pytest.raises(DatasetError, match=r"a\.safetensors holds no tensor 'values'; it holds \['value'\]"):
        dataset.load().concat("values")


def test_progress_bar_starts_at_what_is_there(dataset, capsys):
    interrupt(dataset, at="c")
    capsys.readouterr()
    save(dataset, Maker())
    shown = capsys.readouterr().err
    assert "mined:  50%" in shown
    assert "4/4" in shown


@pytest.mark.parametrize(
    ("fingerprint", "names", "message"),
    [
        ("", ("a",), "fingerprint is empty"),
        ("f", (), "names is empty"),
        ("f", ("a", "b", "a"), r"\['a'\] more than once"),
        ("f", ("../a",), "'../a' cannot be a file name"),
        ("f", ("_SUCCESS",), "'_SUCCESS' cannot be a file name"),
        ("f", ("",), "'' cannot be a file name"),
    ],
)
def test_unfit_shards_are_refused(fingerprint, names, message):
    with pytest.raises(ValueError, match=message):
        Shards(fingerprint=fingerprint, names=names, make=Maker())
