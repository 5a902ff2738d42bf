"""Where the project's MLflow is."""

from pathlib import Path


def tracking_uri(configured: str | None, of_environment: str | None, project: Path) -> str:
    """Returns where runs and models are kept.

    Args:
        configured: What mlflow.yml says; wins.
        of_environment: Value of MLFLOW_TRACKING_URI; comes next.
        project: The project's folder, absolute; its `mlflow.db` comes last.
    """
    return configured or of_environment or f"sqlite:///{project / 'mlflow.db'}"
