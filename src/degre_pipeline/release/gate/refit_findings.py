"""Whether a model that was trained once more, on the whole log, orders as well as the one that was judged."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from degre_pipeline.judging.judges import Judge, values_of_lists
from degre_pipeline.release.gate.findings import Finding, paired
from degre_pipeline.release.gate.gate_config import GateConfig
from degre_pipeline.reranker.models.stored_models import TrainedWeights, restore_decoding
from degre_pipeline.reranker.requests import Requests


def refit_findings(
    requests: Requests,
    gated: TrainedWeights,
    refitted: TrainedWeights,
    judges: Sequence[Judge],
    config: GateConfig,
    *,
    user: NDArray[np.int64],
) -> list[Finding]:
    """Returns, by judge, whether the refitted generator loses at most the gate's margin on the gated one.

    The clicks of these very requests have ended the training of the refitted one. So a gain on them proves
    little, and is not asked for; a loss shows a training that went wrong.

    Args:
        requests: Of the gate's slice.
        gated: The generator that the gate let through.
        refitted: The generator of the whole log.
        judges: Independent ones, of the same requests.
        config: `non_inferiority_margin` and what `paired` reads.
        user: Number of each request's user, [b].
    """
    before, after = (decoded(generator, requests, config.batch_size) for generator in (gated, refitted))
    found = []
    for judge in judges:
        old, new = (values_of_lists(judge, requests, lists, config.batch_size) for lists in (before, after))
        limit = -config.non_inferiority_margin * float(old.mean())
        about = f"clicks a list by {judge.name}, refitted less gated"
        found.append(paired("refit", about, new - old, limit, config, user=user))
    return found


def decoded(generator: TrainedWeights, requests: Requests, batch_size: int) -> Tensor:
    """Returns a generator's lists, candidate indices [b, L]."""
    model = restore_decoding(generator)
    return torch.cat([model.decode(b.static, b.candidates, b.mask)[0] for b in requests.batches(batch_size)])
