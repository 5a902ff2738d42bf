from dataclasses import replace

import pandas as pd
import pytest
from kedro.io import DatasetError

from degre_pipeline.datasets import FeatureTablesDataset, TableDataset
from degre_pipeline.sources.feature_tables import FeatureTables

NAMES = ("requests", "candidates", "users", "items")


@pytest.fixture
def log(tmp_path):
    """A folder with the request log's tables."""
    for number, name in enumerate(NAMES):
        TableDataset(str(tmp_path / f"{name}.parquet")).save(pd.DataFrame({name: [number]}))
    return tmp_path


@pytest.fixture
def dataset(log):
    return FeatureTablesDataset(str(log / "scored" / "scored_candidates.parquet"), str(log))


def tables(**changed):
    return FeatureTables(**{name: pd.DataFrame({name: [changed.get(name, 7)]}) for name in NAMES})


def test_candidates_come_back_and_the_others_are_those_of_the_log(dataset, log):
    assert not dataset.exists()
    dataset.save(tables(candidates=0.5))

    assert dataset.exists()
    loaded = dataset.load()
    assert {name: getattr(loaded, name)[name].tolist() for name in NAMES} == {
        "requests": [0],
        "candidates": [0.5],
        "users": [2],
        "items": [3],
    }
    assert TableDataset(str(log / "candidates.parquet")).load()["candidates"].tolist() == [1]


def test_candidates_that_cannot_be_stored_leave_the_file_as_it_was(dataset):
    dataset.save(tables(candidates=0.5))
    mixed = pd.DataFrame({"candidates": pd.Series(["a", 1], dtype=object)})
    with pytest.raises(DatasetError, match="candidates"):
        dataset.save(replace(tables(), candidates=mixed))

    assert dataset.load().candidates["candidates"].tolist() == [0.5]


def test_a_table_that_is_not_there_or_damaged_is_named(dataset, log):
    dataset.save(tables())
    (log / "users.parquet").write_bytes(b"nothing")
    with pytest.raises(DatasetError, match=r"users\.parquet is not what was written"):
        dataset.load()
    (log / "users.parquet").unlink()
    assert not dataset.exists()
    assert dataset.why_missing() == str(log / "users.parquet")
    with pytest.raises(DatasetError, match=r"users\.parquet does not exist"):
        dataset.load()
