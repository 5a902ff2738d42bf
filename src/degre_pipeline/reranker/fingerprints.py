"""Identifies tensors by their content, so that results of other inputs are recognised."""

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor


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
