"""Cross-cutting facts about a run, written to MLflow. Hooks never change data."""

from degre_pipeline.hooks.artifacts import ArtifactsHook
from degre_pipeline.hooks.closing_table import ClosingTableHook
from degre_pipeline.hooks.first_checks import FirstChecksHook
from degre_pipeline.hooks.logged_metrics import MetricsHook
from degre_pipeline.hooks.mlflow_run import MlflowRunHook
from degre_pipeline.hooks.provenance import ProvenanceHook
from degre_pipeline.hooks.tables_together import TablesTogetherHook
from degre_pipeline.hooks.training_processes import TrainingProcessesHook, writes_here
from degre_pipeline.hooks.unread_parameters import UnreadParametersHook

__all__ = [
    "ArtifactsHook",
    "ClosingTableHook",
    "FirstChecksHook",
    "MetricsHook",
    "MlflowRunHook",
    "ProvenanceHook",
    "TablesTogetherHook",
    "TrainingProcessesHook",
    "UnreadParametersHook",
    "writes_here",
]
