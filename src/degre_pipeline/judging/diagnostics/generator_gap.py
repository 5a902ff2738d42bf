"""Where along their lists the generator leaves the beam search that taught it, over many requests."""

from collections.abc import Sequence

import torch
from torch import Tensor

from degre_pipeline.judging import names
from degre_pipeline.judging.diagnostics.diagnostic_rows import MINER, Row, estimated
from degre_pipeline.judging.evaluation_config import EvaluationConfig
from degre_pipeline.judging.judges import Values
from degre_pipeline.reranker.distillation_gap import StepGap, step_gap
from degre_pipeline.reranker.models.evaluator import Evaluator
from degre_pipeline.reranker.models.generator import OnlineGenerator
from degre_pipeline.reranker.requests import Requests
from degre_pipeline.reranker.search.mining_config import MiningConfig

DIAGNOSTICS = {
    "agrees_on_teachers_prefix": (names.CHOICE_AGREEMENT, names.TEACHERS_PREFIX),
    "agrees_on_own_prefix": (names.CHOICE_AGREEMENT, names.OWN_PREFIX),
    "value_lost": (names.VALUE_LOST, names.OWN_PREFIX),
}
"""Diagnostic and subject of each figure of a `StepGap`."""


def distillation_rows(
    generator: OnlineGenerator,
    evaluator: Evaluator,
    requests: Requests,
    *,
    teacher: Tensor,
    own: Tensor,
    search: MiningConfig,
    config: EvaluationConfig,
) -> list[Row]:
    """Returns the generator's agreement with its teacher and the value that its choice loses, by slot.

    Args:
        generator: In eval mode.
        evaluator: The teacher's, on the same device.
        requests: Those that are compared.
        teacher: The teacher's best list, [b, t]; -1 at the end of shorter ones.
        own: What the generator decodes, [b, t].
        search: The teacher's; its beam size completes the generator's prefixes.
        config: Of batches and intervals.
    """
    device = next(generator.parameters()).device
    gaps = [
        step_gap(
            generator,
            evaluator,
            requests.select(rows).to(device),
            teacher=teacher[rows].to(device),
            own=own[rows].to(device),
            beam_size=search.beam_size,
            top_k=search.top_k,
        )
        for rows in torch.arange(len(requests)).split(config.batch_size)
    ]
    rows: list[Row] = []
    for name, (diagnostic, subject) in DIAGNOSTICS.items():
        for slot, values in enumerate(_joined(gaps, name).T, start=1):
            rows += estimated(diagnostic, subject, MINER, values, config, at=slot)
    return rows


def _joined(gaps: Sequence[StepGap], name: str) -> Values:
    """Returns one figure of all requests, [b, t]."""
    figures: Values = torch.cat([getattr(gap, name).double().cpu() for gap in gaps]).numpy()
    return figures
