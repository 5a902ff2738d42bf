"""Tables of one node are replaced together, whatever stops the last of them."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from kedro.framework.hooks.manager import _create_hook_manager
from kedro.io import DataCatalog, DatasetError
from kedro.pipeline import Node, Pipeline
from kedro.runner import SequentialRunner

from degre_pipeline.hooks import TablesTogetherHook

GOOD, NEW = pd.DataFrame({"a": [1]}), pd.DataFrame({"a": [2]})
NO_TABLE = pd.DataFrame({"a": pd.Series(["a", 1], dtype=object)})


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., None]:
    def run(requests: pd.DataFrame, items: pd.DataFrame) -> None:
        entry = {"type": "degre_pipeline.datasets.TableDataset"}
        catalog = DataCatalog.from_config(
            {name: {**entry, "filepath": str(tmp_path / f"{name}.parquet")} for name in ("requests", "items")}
        )
        manager = _create_hook_manager()
        manager.register(TablesTogetherHook())
        pipeline = Pipeline([Node(lambda: (requests, items), None, ["requests", "items"], name="read")])
        manager.hook.before_pipeline_run(run_params={}, pipeline=pipeline, catalog=catalog)
        try:
            SequentialRunner().run(pipeline, catalog, manager)
        except Exception as error:
            manager.hook.on_pipeline_error(error=error, run_params={}, pipeline=pipeline, catalog=catalog)
            raise

    return run


def test_both_are_replaced(run: Callable[..., None], tmp_path: Path) -> None:
    run(GOOD, GOOD)
    run(NEW, NEW)
    for name in ("requests", "items"):
        pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / f"{name}.parquet"), NEW)


def test_none_is_replaced_where_the_last_cannot_be_written(run: Callable[..., None], tmp_path: Path) -> None:
    run(GOOD, GOOD)
    with pytest.raises(DatasetError, match="Conversion failed for column a"):
        run(NEW, NO_TABLE)
    for name in ("requests", "items"):
        pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / f"{name}.parquet"), GOOD)
    assert {path.name for path in tmp_path.glob("*.parquet")} == {"items.parquet", "requests.parquet"}
