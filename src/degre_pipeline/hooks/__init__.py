"""Cross-cutting facts about a run, written to MLflow. Hooks never change data."""

from .artifacts import ArtifactsHook
from .metrics import MetricsHook
from .mlflow_run import MlflowRunHook
from .provenance import ProvenanceHook

__all__ = ["ArtifactsHook", "MetricsHook", "MlflowRunHook", "ProvenanceHook"]
