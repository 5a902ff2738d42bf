"""Identifies tensors by their content, so that results of other inputs are recognised."""

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor

from degre_pipeline.reranker.models.stored_models import TrainedWeights
from degre_pipeline.reranker.requests import Requests


def fingerprint(tensors: Mapping[str, Tensor]) -> str:
    """Returns the SHA-256 of names, shapes, types and values, independent of the order of names."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype};".encode())
        digest.update(tensor.view(-1).view(torch.uint8).numpy().data if tensor.numel() else b"")
    return digest.hexdigest()


SEARCHED = ("request_id", "split", "role", "static", "candidates", "mask", "scores")
"""The request tensors that mining reads: neither clicks nor what was exposed."""


def mined_from(requests: Requests, evaluator_weights: Mapping[str, Tensor]) -> str:
    """Returns what identifies the requests and the evaluator that lookahead sequences were mined from."""
    searched = {name: getattr(requests, name) for name in SEARCHED}
    return f"{fingerprint(searched)}-{fingerprint(evaluator_weights)}"


def check_encoding(trained: TrainedWeights, encoding: str) -> None:
    """Raises ValueError if weights were trained on indices of another feature space than the one named."""
    learned = trained.config.get("feature_space", "")
    if learned != encoding:
        raise ValueError(
            f"the stored {trained.config.get('model', 'model')} was trained with feature space "
            f"{learned[:12]!r}, but the requests are encoded with {encoding[:12]!r}; allowed: the same. "
            "Train again: kedro run --pipelines=evaluator_training,mining,generator_distillation"
        )
