"""Logs the generator to MLflow as a model that needs nothing of this project to load."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mlflow
from mlflow.models.model import ModelInfo
from safetensors.torch import save_file

from degre_pipeline.reranker.features import FeatureSpace
from degre_pipeline.reranker.models.stored_models import TrainedWeights
from degre_pipeline.serving.model.carried_code import write_carried_code
from degre_pipeline.serving.model.program import (
    MOST_CANDIDATES,
    export_program,
    export_ranking_model,
    save_program,
)
from degre_pipeline.serving.model.ranking_model import build_ranking_model
from degre_pipeline.serving.model.request_schema import Request, without_ranking_score
from degre_pipeline.serving.model.reranking_model import Reranker, build_reranker
from degre_pipeline.serving.model.served_files import (
    DIGESTS_TAG,
    EXAMPLE,
    FEATURE_SPACE,
    PROGRAM,
    RANKING_FEATURE_SPACE,
    RANKING_PROGRAM,
    digests_of,
)
from degre_pipeline.serving.model.signature import as_record, request_signature
from degre_pipeline.serving.model.stored_example import stored_example

NEEDED = ("mlflow", "torch", "numpy", "pandas", "safetensors")
"""Packages that the served model imports."""


@dataclass(frozen=True)
class TrainedRanking:
    """A point-wise model that stands in for a ranking stage, and the feature space it was trained on."""

    weights: TrainedWeights
    space: FeatureSpace


def log_reranker(
    generator: TrainedWeights,
    space: FeatureSpace,
    requests: Sequence[Request],
    *,
    name: str,
    metadata: Mapping[str, Any],
    ranking: TrainedRanking | None = None,
    examples: int = 2,
) -> ModelInfo:
    """Logs the served model into the active MLflow run.

    Args:
        generator: The trained generator.
        space: The feature space it was trained on.
        requests: Real requests, from which the signature takes its types.
        name: Of the logged model.
        metadata: Plain values, kept with the model.
        ranking: What scores candidates that come without a ranking score, where the log has none.
        examples: Requests, the first ones, that become the input example.
    """
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        script, package = write_carried_code(folder)
        own_score = None if ranking is None else build_ranking_model(ranking.weights, ranking.space)
        reranker = build_reranker(generator, space, own_score)
        artifacts = _write_artifacts(folder, generator, space)
        artifacts |= _write_programs(
            folder, generator, reranker, ranking, requests=requests, examples=examples
        )
        example = (
            requests[:examples] if ranking is None else list(map(without_ranking_score, requests[:examples]))
        )
        logged: ModelInfo = mlflow.pyfunc.log_model(
            name=name,
            python_model=script,
            code_paths=[str(package)],
            artifacts=artifacts,
            signature=request_signature(reranker.schema, requests),
            input_example=[as_record(request) for request in example],
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
    _write_json(config, generator.config)
    _write_json(features, space.to_dict())
    return {"weights": str(weights), "config": str(config), "feature_space": str(features)}


def _write_programs(
    folder: Path,
    generator: TrainedWeights,
    reranker: Reranker,
    ranking: TrainedRanking | None,
    *,
    requests: Sequence[Request],
    examples: int,
) -> dict[str, str]:
    """Writes the exported programs and the lists that the trained models give to the example's requests."""
    usual = max(len(request.candidates) for request in requests)
    most = max(MOST_CANDIDATES, usual)
    save_program(export_program(generator, most), folder / PROGRAM)
    written = {"program": PROGRAM, "example": EXAMPLE}
    if ranking is not None:
        save_program(export_ranking_model(ranking.weights, most), folder / RANKING_PROGRAM)
        _write_json(folder / RANKING_FEATURE_SPACE, ranking.space.to_dict())
        written |= {"ranking_program": RANKING_PROGRAM, "ranking_feature_space": RANKING_FEATURE_SPACE}
    length = int(generator.config["list_length"])
    stored_example(reranker, requests, length, most, examples).write(folder / EXAMPLE)
    return {name: str(folder / file) for name, file in written.items()}


def _write_json(file: Path, content: Any) -> None:
    file.write_text(json.dumps(content, indent=1), encoding="utf-8")
