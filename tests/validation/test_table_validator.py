"""What the validator does with tables, whichever they are: errors, pages, runs."""

from types import SimpleNamespace

import pandas as pd
import pytest
from kedro.io import DataCatalog
from kedro.pipeline import Node, Pipeline
from kedro.runner import SequentialRunner
from kedro.validation import DataValidationError
from small_tables import items, users

from degre_pipeline.validation import InvalidTableError, PartValidator, TableValidator


@pytest.fixture
def check(tmp_path):
    return lambda table, frame: TableValidator(table, path=str(tmp_path)).validate(frame)


def test_many_offending_rows_are_counted_not_listed(check):
    frame = pd.DataFrame({"user_id": [3] * 1000})
    with pytest.raises(InvalidTableError, match=r", \.\.\. \(1000 of 1000 rows\)") as caught:
        check("users", frame)
    assert str(caught.value).count("{user_id: 3}") == 5


def test_rows_are_named_whatever_the_index(check):
    with pytest.raises(InvalidTableError, match=r"\{user_id: 'u1'\}, \{user_id: 'u1'\}"):
        check("users", pd.DataFrame({"user_id": ["u1", "u1"]}, index=[50, 40]))


def test_what_is_no_table_is_refused(check):
    with pytest.raises(TypeError, match="'users' is a list; allowed: a pandas DataFrame"):
        check("users", [1])


def test_one_of_several_tables_is_checked_and_all_go_on(tmp_path):
    several = SimpleNamespace(users=users(), items=None)
    assert PartValidator("users", path=str(tmp_path)).validate(several) is several
    several.users = pd.DataFrame({"user_id": ["u1", "u1"]})
    with pytest.raises(InvalidTableError, match="The table 'users' breaks 1 of"):
        PartValidator("users", path=str(tmp_path)).validate(several)


def test_unknown_suite_is_refused():
    with pytest.raises(ValueError, match=r"no suite for the table 'user'; allowed: \['candidates', "):
        TableValidator("user")


def test_one_site_shows_the_latest_result_of_every_table(tmp_path):
    TableValidator("users", path=str(tmp_path)).validate(users())
    for _ in range(2):
        with pytest.raises(InvalidTableError):
            TableValidator("items", path=str(tmp_path)).validate(items().assign(item_id=1))
    index = (tmp_path / "index.html").read_text()
    assert index.count("users-users.html") == index.count("items-items.html") == 1
    pages = sorted(page.name for page in (tmp_path / "validations").rglob("*.html"))
    assert pages == [
        "items-items.html",
        "items_columns-items_columns.html",
        "users-users.html",
        "users_columns-users_columns.html",
    ]
    page = next((tmp_path / "validations").rglob("items-items.html")).read_text()
    assert "Failed" in page


def catalog_with_users(tmp_path):
    return DataCatalog.from_config(
        {
            "users": {
                "type": "pandas.ParquetDataset",
                "filepath": str(tmp_path / "users.parquet"),
                "validator": {
                    "class": "degre_pipeline.validation.TableValidator",
                    "on": "save",
                    "options": {"table": "users", "path": str(tmp_path / "docs")},
                },
            }
        }
    )


def test_failing_table_stops_the_run_and_keeps_the_file_of_the_run_before(tmp_path):
    catalog = catalog_with_users(tmp_path)
    SequentialRunner().run(Pipeline([Node(users, None, "users", name="read")]), catalog)
    seen = []
    pipeline = Pipeline(
        [
            Node(lambda: users().assign(user_id="u9"), None, "users", name="read"),
            Node(lambda table: seen.append(table) or 1, "users", "size", name="count"),
        ]
    )
    with pytest.raises(DataValidationError, match=r"user_id occurs once; found: \{user_id: 'u9'\}"):
        SequentialRunner().run(pipeline, catalog_with_users(tmp_path))
    assert seen == []
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "users.parquet"), users())
    assert (tmp_path / "docs" / "index.html").exists()
