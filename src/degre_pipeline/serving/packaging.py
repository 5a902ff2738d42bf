"""Logs the generator to MLflow as a model that needs nothing of this project to load."""

import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mlflow
from mlflow.models.model import ModelInfo
from safetensors.torch import save_file

from degre_pipeline.reranker.configs import TrainedWeights
from degre_pipeline.reranker.features import FeatureSpace
from degre_pipeline.serving.carried_code import write_carried_code
from degre_pipeline.serving.program import MOST_CANDIDATES, export_program, save_program
from degre_pipeline.serving.request_schema import Request
from degre_pipeline.serving.reranking_model import build_reranker
from degre_pipeline.serving.served_files import DIGESTS_TAG, EXAMPLE, FEATURE_SPACE, PROGRAM, digests_of
from degre_pipeline.serving.signature import as_record, request_signature
from degre_pipeline.serving.stored_example import stored_example

NEEDED = ("mlflow", "torch", "numpy", "pandas", "safetensors")
"""Packages that the served model imports."""


def log_reranker(
    generator: TrainedWeights,
    space: FeatureSpace,
    requests: Sequence[Request],
    *,
    name: str,
    metadata: Mapping[str, Any],
    examples: int = 2,
) -> ModelInfo:
    """Logs the served model into the active MLflow run.

    Args:
        generator: The trained generator.
        space: The feature space it was trained on.
        requests: Real requests, from which the signature takes its types.
        name: Of the logged model.
        metadata: Plain values, kept with the model.
        examples: Requests, the first ones, that become the input example.
    """
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        script, package = write_carried_code(folder)
        artifacts = _write_artifacts(folder, generator, space)
        artifacts |= _write_program(folder, generator, space, requests, examples)
        logged: ModelInfo = mlflow.pyfunc.log_model(
            name=name,
            python_model=script,
            code_paths=[str(package)],
            artifacts=artifacts,
            signature=request_signature(space, requests),
            input_example=[as_record(request) for request in requests[:examples]],
            pip_requirements=pinned_requirements(),
            metadata=dict(metadata),
            tags={DIGESTS_TAG: digests_of(folder)},
        )
    return logged


def pinned_requirements() -> list[str]:
    """Returns the needed packages at the versions in use, without build labels such as `+cpu`."""
    return [f"{package}=={version(package).split('+')[0]}" for package in NEEDED]


def _write_artifacts(folder: Path, generator: TrainedWeights, space: FeatureSpace) -> dict[str, str]:
    names = ("generator.safetensors", "generator.json", FEATURE_SPACE)
    weights, config, features = (folder / name for name in names)
    save_file(dict(generator.weights), weights)
    config.write_text(json.dumps(generator.config, indent=1), encoding="utf-8")
    features.write_text(json.dumps(space.to_dict(), indent=1), encoding="utf-8")
    return {"weights": str(weights), "config": str(config), "feature_space": str(features)}


def _write_program(
    folder: Path, generator: TrainedWeights, space: FeatureSpace, requests: Sequence[Request], examples: int
) -> dict[str, str]:
    """Writes the exported program and the lists that the generator itself gives to the example's requests."""
    usual = max(len(request.candidates) for request in requests)
    most = max(MOST_CANDIDATES, usual)
    save_program(export_program(generator, most), folder / PROGRAM)
    length = int(generator.config["list_length"])
    example = stored_example(build_reranker(generator, space), requests, length, most, examples)
    example.write(folder / EXAMPLE)
    return {"program": str(folder / PROGRAM), "example": str(folder / EXAMPLE)}
