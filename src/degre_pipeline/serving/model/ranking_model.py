"""Scores candidates where no ranking score comes, as the ranking stage does where a log has none."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from degre_pipeline.reranker.checked_settings import require
from degre_pipeline.reranker.features import FeatureSpace
from degre_pipeline.reranker.models.stored_models import TrainedWeights, restore_ranking_model
from degre_pipeline.reranker.schema import RANKING_SCORE
from degre_pipeline.serving.model.program import load_program
from degre_pipeline.serving.model.request_encoding import encode_requests
from degre_pipeline.serving.model.request_schema import Request, has_ranking_score


class Scorer(Protocol):
    """A point-wise click model, or what runs its exported program."""

    def __call__(self, static: Tensor, candidates: Tensor) -> Tensor:
        """Returns a logit for every candidate, [b, n]."""


class RankingModel:
    """Gives a ranking score to the candidates of requests that come without one.

    Args:
        scorer: In eval mode, on the CPU.
        space: The feature space that it was trained on.
    """

    def __init__(self, scorer: Scorer, space: FeatureSpace) -> None:
        self._scorer, self._space = scorer, space

    def scored(self, requests: Sequence[Request]) -> list[Request]:
        """Returns checked requests, in their order, with a score for every candidate; one that came is kept.

        Raises: RuntimeError: If a score is no finite number.
        """
        bare = [request for request in requests if not has_ranking_score(request)]
        found = iter(self._scores(bare) if bare else ())
        return [
            request if has_ranking_score(request) else _with_scores(request, next(found))
            for request in requests
        ]

    @torch.no_grad()
    def _scores(self, requests: Sequence[Request]) -> list[list[float]]:
        static, candidates, _ = encode_requests(self._space, requests)
        scores: list[list[float]] = self._scorer(static, candidates).tolist()
        return scores


def load_ranking_model(program: Path, feature_space: Path) -> RankingModel:
    """Returns the ranking model of a stored program and the JSON form of its feature space.

    Raises: ValueError: If the program could execute anything but tensor operations.
    """
    space = FeatureSpace.from_dict(json.loads(feature_space.read_text("utf-8")))
    return RankingModel(load_program(program).module(), space)


def build_ranking_model(trained: TrainedWeights, space: FeatureSpace) -> RankingModel:
    """Returns the ranking model of trained weights.

    Raises: ValueError: If the weights were trained on other fields or other fitted sizes.
    """
    check_fields("ranking model", trained, space)
    return RankingModel(restore_ranking_model(trained), space)


def check_fields(model: str, trained: TrainedWeights, space: FeatureSpace) -> None:
    """Raises ValueError unless a model was trained for the fields and the fitted sizes of a feature space."""
    sizes = [size.as_dict() for size in space.sizes()]
    require(
        trained.config.get("sizes") == sizes, f"sizes of the {model}", trained.config.get("sizes"), f"{sizes}"
    )


def _with_scores(request: Request, scores: Sequence[float]) -> Request:
    """Returns the request with a score for each of its candidates; scores of padding are dropped."""
    pairs = list(zip(request.candidates, scores, strict=False))
    for candidate, score in pairs:
        if not math.isfinite(score):
            raise RuntimeError(
                f"the ranking model gives {score} to {dict(candidate)!r}; allowed: a finite score"
            )
    return replace(request, candidates=[{**candidate, RANKING_SCORE: score} for candidate, score in pairs])
