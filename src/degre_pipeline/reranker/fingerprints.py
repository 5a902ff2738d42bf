"""Identifies tensors by their content, so that results of other inputs are recognised."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from degre_pipeline.reranker.models.stored_models import TrainedWeights


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


def mined_from(request_tensors: Mapping[str, Tensor], evaluator_weights: Mapping[str, Tensor]) -> str:
    """Returns what identifies the requests and the evaluator that lookahead sequences were mined from."""
    searched = {name: request_tensors[name] for name in SEARCHED}
    return f"{fingerprint(searched)}-{fingerprint(evaluator_weights)}"


ENCODING = "feature_space"
"""Where request tensors and trained weights name the feature space that their indices come from."""


def encoding_tensor(feature_space: Mapping[str, Any]) -> Tensor:
    """Returns what identifies a feature space in its JSON form, [32] uint8, to lie beside request tensors."""
    digest = hashlib.sha256(json.dumps(feature_space, sort_keys=True).encode()).digest()
    return torch.tensor(list(digest), dtype=torch.uint8)


def encoding_of(request_tensors: Mapping[str, Tensor]) -> str:
    """Returns which feature space requests were encoded with, empty where it is not stored."""
    stored = request_tensors.get(ENCODING)
    return "" if stored is None else bytes(stored.tolist()).hex()


def check_encoding(trained: TrainedWeights, request_tensors: Mapping[str, Tensor]) -> None:
    """Raises ValueError if weights were trained on indices of another feature space than the requests'."""
    learned, given = trained.config.get(ENCODING, ""), encoding_of(request_tensors)
    if learned != given:
        raise ValueError(
            f"the stored {trained.config.get('model', 'model')} was trained with feature space "
            f"{learned[:12]!r}, but the requests are encoded with {given[:12]!r}; allowed: the same. "
            "Train again: kedro run --pipelines=evaluator_training,mining,generator_distillation"
        )
