import json

import pytest
from kedro.io import DatasetError

from degre_pipeline.datasets import RowsDataset

SHOP = [{"data": "simulated", "value": 0.5}, {"data": "simulated", "value": None}]
FILMS = [{"data": "ml1m", "value": 0.25}]


@pytest.fixture
def file(tmp_path):
    return tmp_path / "rows.json"


def rows_of(file, value) -> RowsDataset:
    return RowsDataset(str(file), key="data", value=value)


def test_two_runs_share_a_file_and_replace_their_own_rows_only(file):
    rows_of(file, "simulated").save(SHOP)
    rows_of(file, "ml1m").save(FILMS)
    rows_of(file, "simulated").save(SHOP[:1])

    assert rows_of(file, "ml1m").load() == FILMS
    assert rows_of(file, "simulated").load() == SHOP[:1]
    assert json.loads(file.read_text()) == [*FILMS, *SHOP[:1]]


def test_rows_of_other_data_are_refused(file):
    with pytest.raises(DatasetError, match=r"rows have data \['ml1m'\]; allowed: 'simulated'"):
        rows_of(file, "simulated").save(FILMS)
    assert not file.exists()


@pytest.mark.parametrize("content", ["[{", "[{}]", "7"])
def test_a_damaged_file_is_named_and_kept(file, content):
    file.write_text(content)
    for use in (rows_of(file, "ml1m").load, lambda: rows_of(file, "ml1m").save(FILMS)):
        with pytest.raises(DatasetError, match=r"rows\.json"):
            use()
    assert file.read_text() == content


def test_what_json_cannot_hold_leaves_the_file_as_it_was(file):
    rows_of(file, "ml1m").save(FILMS)
    with pytest.raises(DatasetError, match="JSON"):
        rows_of(file, "ml1m").save([{"data": "ml1m", "value": float("nan")}])
    assert rows_of(file, "ml1m").load() == FILMS
