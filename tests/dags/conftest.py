"""One migrated Airflow database for all tests of the DAG, and whether Airflow is installed at all."""

from pathlib import Path

import airflow_runs
import pytest


@pytest.fixture(scope="session")
def airflow_python() -> Path:
    """Python of Airflow's own environment."""
    python = airflow_runs.BIN / "python"
    if not python.exists():
        pytest.skip(f"Airflow is not installed in {airflow_runs.BIN.parent}: make test-airflow")
    return python


@pytest.fixture(scope="session")
def airflow_database(airflow_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database without a run, to be copied."""
    return airflow_runs.make_database(tmp_path_factory.mktemp("airflow") / "home")
