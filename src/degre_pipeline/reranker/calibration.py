"""Calibration of a trained evaluator on lists that it did not learn from."""

import torch

from degre_pipeline.reranker.models.evaluator import LookaheadEvaluator
from degre_pipeline.reranker.requests import Requests, gather_candidates

ROUNDS = 50


def calibrate(evaluator: LookaheadEvaluator, requests: Requests, batch_size: int = 1024) -> None:
    """Stretches all logits alike and shifts them by column, in place, to the least loss on exposed lists.

    With the monotone head one shift serves all levels, so that P(V >= k) still decreases in k.

    Args:
        evaluator: In eval mode.
        requests: Held-out requests.
        batch_size: Lists encoded together.
    Source: Platt scaling, one for each level.
    """
    evaluator.scale.fill_(1.0)
    evaluator.shift.fill_(0.0)
    device = evaluator.scale.device
    held_out = requests.to(device)
    with torch.no_grad():
        parts = [
            evaluator(part.static, gather_candidates(part.candidates, part.exposed)).double()
            for part in held_out.batches(batch_size)
        ]
    logits = torch.cat(parts)
    scale = torch.ones((), dtype=torch.float64, device=device, requires_grad=True)
    shift = torch.zeros(evaluator.shift.shape, dtype=torch.float64, device=device, requires_grad=True)
    optimizer = torch.optim.LBFGS([scale, shift], max_iter=ROUNDS, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        found = evaluator.list_loss(logits * scale + shift, held_out.clicks, held_out.exposed_mask)
        found.backward()
        return found

    optimizer.step(loss)
    evaluator.scale.copy_(scale.detach())
    evaluator.shift.copy_(shift.detach())
