import os

import pandas as pd
import pytest
from kedro.io import DatasetError

from degre_pipeline.datasets import TableDataset

TABLE = pd.DataFrame({"item_id": ["a", "b"], "price": [1.5, None]})
NO_TABLE = pd.DataFrame({"item_id": pd.Series(["a", 1], dtype=object)})


@pytest.fixture
def file(tmp_path):
    return tmp_path / "tables" / "items.parquet"


def test_a_table_comes_back_and_leaves_its_hash_alone_beside_it(file):
    TableDataset(str(file)).save(TABLE)

    pd.testing.assert_frame_equal(TableDataset(str(file)).load(), TABLE)
    assert sorted(os.listdir(file.parent)) == [".items.parquet.sha256", "items.parquet"]


def test_a_table_that_cannot_be_stored_leaves_the_file_as_it_was(file):
    dataset = TableDataset(str(file))
    dataset.save(TABLE)
    with pytest.raises(DatasetError, match="item_id"):
        dataset.save(NO_TABLE)

    pd.testing.assert_frame_equal(dataset.load(), TABLE)
    assert sorted(os.listdir(file.parent)) == [".items.parquet.sha256", "items.parquet"]


def test_what_is_held_back_takes_its_place_when_it_is_told(file):
    dataset = TableDataset(str(file))
    dataset.hold_back()
    dataset.save(TABLE)
    assert not file.exists()
    dataset.put_in_place()
    pd.testing.assert_frame_equal(dataset.load(), TABLE)
    dataset.save(TABLE[:1])
    assert len(dataset.load()) == 1, "held back once only"


def test_what_is_dropped_is_gone(file):
    dataset = TableDataset(str(file))
    dataset.hold_back()
    dataset.save(TABLE)
    dataset.drop()
    assert os.listdir(file.parent) == []


def test_a_file_that_is_not_there_is_named(file):
    with pytest.raises(DatasetError, match=r"items\.parquet does not exist; run the pipeline that writes it"):
        TableDataset(str(file)).load()
