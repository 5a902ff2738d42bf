"""A registered model with four versions that the gate judged, without any model behind them."""

import mlflow
import pytest

MODEL = "reranker"
OUTCOMES = ("promote", "hold", "refuse", None)


@pytest.fixture
def versions(registry) -> mlflow.MlflowClient:
    """Versions 1 to 4, one for each outcome; the last one was not judged. The challenger is version 1."""
    registry.create_registered_model(MODEL)
    for outcome in OUTCOMES:
        with mlflow.start_run() as run:
            mlflow.log_text(f"report: {outcome}", "gate/gate_report.html")
        tags = {"gate_outcome": outcome} if outcome else {}
        registry.create_model_version(MODEL, run.info.artifact_uri, run.info.run_id, tags)
    registry.set_registered_model_alias(MODEL, "challenger", "1")
    return registry
