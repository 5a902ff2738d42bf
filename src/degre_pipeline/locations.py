"""Where the project's MLflow is."""

from pathlib import Path

from sqlalchemy.engine import make_url

_ESCAPED = {"%": "%25", "?": "%3F"}


def tracking_uri(configured: str | None, of_environment: str | None, project: Path) -> str:
    """Returns where runs and models are kept.

    Args:
        configured: What mlflow.yml says; wins.
        of_environment: Value of MLFLOW_TRACKING_URI; comes next.
        project: The project's folder, absolute; its `mlflow.db` comes last.
    """
    return configured or of_environment or sqlite_address(project / "mlflow.db")


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


if __name__ == "__main__":
    print(sqlite_address(Path.cwd() / "mlflow.db"))  # for the Makefile
