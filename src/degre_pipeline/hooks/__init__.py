"""Cross-cutting facts about a run, written to MLflow. Hooks never change data."""

from .artifacts import ArtifactsHook
from .closing_table import ClosingTableHook
from .first_checks import FirstChecksHook
from .metrics import MetricsHook
from .mlflow_run import MlflowRunHook
from .provenance import ProvenanceHook
from .tables_together import TablesTogetherHook
from .training_processes import TrainingProcessesHook, writes_here
from .unread_parameters import UnreadParametersHook

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
