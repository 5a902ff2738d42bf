"""Where the project's MLflow is."""

import os
from importlib.util import find_spec
from pathlib import Path

from sqlalchemy.engine import make_url

_ESCAPED = {"%": "%25", "?": "%3F"}
_INTERPOLATED = "%"


def tracking_uri(configured: str | None, project: Path) -> str:
    """Returns where runs and models are kept.

    What is configured wins; then the environment variable MLFLOW_TRACKING_URI; then `mlflow.db` in the
    project's folder.

    Args:
        configured: What mlflow.yml or an option says.
        project: The project's folder, absolute.
    Raises: ValueError: If that is a database and MLflow is installed where it cannot open one.
    """
    address = configured or os.environ.get("MLFLOW_TRACKING_URI") or sqlite_address(project / "mlflow.db")
    if database_file(address) is not None:
        check_environment(_folder_of("mlflow"))
    return address


def check_environment(folder: Path) -> None:
    """Raises ValueError if MLflow, installed in this folder, cannot find how to make its tables."""
    if _INTERPOLATED in str(folder):
        raise ValueError(
            f"MLflow is installed in {str(folder)!r}; allowed: an environment in a path without "
            f"{_INTERPOLATED!r}, because MLflow takes it for a pattern; the project may stay where it is: "
            "make run VENV=/a/path/of/its/own"
        )


def sqlite_address(database: Path) -> str:
    """Returns the address of a database file, whatever marks its path holds.

    Where an address is not simply its path, it names the driver, too: for a plain `sqlite:` MLflow would make
    an empty folder that is called like the address.
    """
    address = "".join(_ESCAPED.get(mark, mark) for mark in str(database))
    scheme = "sqlite" if address == str(database) else "sqlite+pysqlite"
    return f"{scheme}:///{address}"


def database_file(address: str) -> Path | None:
    """Returns the file of an SQLite address; None for every other place."""
    if not address.startswith("sqlite"):
        return None
    file = make_url(address).database
    return Path(file) if file not in (None, "", ":memory:") else None


def _folder_of(package: str) -> Path:
    found = find_spec(package)
    return Path(found.origin).parent if found is not None and found.origin else Path()


if __name__ == "__main__":
    print(sqlite_address(Path.cwd() / "mlflow.db"))  # for the Makefile
