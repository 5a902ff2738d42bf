"""Kedro's settings for this project."""

from degre_pipeline.configuration import ProjectConfigLoader
from degre_pipeline.hooks import (
    ArtifactsHook,
    ClosingTableHook,
    FirstChecksHook,
    MetricsHook,
    MlflowRunHook,
    ProvenanceHook,
    TablesTogetherHook,
    TrainingProcessesHook,
    UnreadParametersHook,
    writes_here,
)

# Hooks say themselves which of them comes first, so the order here means nothing. Of the processes that
# torchrun starts, the first one records the run.
_RECORDING = (MlflowRunHook, ProvenanceHook, MetricsHook, ArtifactsHook, ClosingTableHook)
HOOKS = (
    UnreadParametersHook(),
    FirstChecksHook(),
    TablesTogetherHook(),
    TrainingProcessesHook(),
    *(hook() for hook in _RECORDING if writes_here()),
)

# MlflowRunHook stands in for kedro-mlflow's hook; usage reports are off for everybody; kedro-viz's hooks warn
# in every run about what they do not find in the working directory.
# The names are compared as packages spell them, and kedro-mlflow's spelling has changed.
DISABLE_HOOKS_FOR_PLUGINS = ("kedro_mlflow", "kedro-mlflow", "kedro-telemetry", "kedro-viz")

CONFIG_LOADER_CLASS = ProjectConfigLoader
