"""Distils mined lookahead sequences into the Online Generator."""

from typing import Any

import pandas as pd
from torch import Tensor

from degre_pipeline.datasets.shards import LoadedShards
from degre_pipeline.reranker.batching import Requests
from degre_pipeline.reranker.checkpoints import Checkpoints
from degre_pipeline.reranker.configs import (
    FROM_NOTHING,
    DistillationConfig,
    GeneratorConfig,
    MiningConfig,
    TrainedWeights,
    TrainingConfig,
)
from degre_pipeline.reranker.distillation import distill
from degre_pipeline.reranker.features import FeatureSpace
from degre_pipeline.reranker.fingerprints import encoding_of, mined_from
from degre_pipeline.reranker.objectives import MinedRequests
from degre_pipeline.reranker.replay import check_borne_out


def distill_generator(
    request_tensors: dict[str, Tensor],
    feature_space: dict[str, Any],
    lookahead_sequences: LoadedShards,
    mining_evaluator: TrainedWeights,
    model: GeneratorConfig,
    training: TrainingConfig,
    distillation: DistillationConfig,
    search: MiningConfig,
    checkpoints: Checkpoints | None = None,
    start: TrainedWeights = FROM_NOTHING,
) -> tuple[TrainedWeights, pd.DataFrame]:
    """Returns the generator with the best validation loss on mined sequences, and its training history.

    With a place for checkpoints, an interrupted training is continued and a finished one is not repeated.

    Raises: ValueError: If slots follow the score and no logged click speaks for the mined lists.
    """
    mined = load_mined(request_tensors, mining_evaluator, lookahead_sequences)
    if distillation.teacher == "mined" and not distillation.despite_log:
        held_out = mined.of_split("validation")
        log = Requests.from_tensors(request_tensors)
        check_borne_out(held_out.sequences[:, 0].long(), held_out.requests, log)
    generator, history = distill(
        mined.of_split("train"),
        mined.of_split("validation"),
        mining_evaluator,
        sizes=FeatureSpace.from_dict(feature_space).sizes(),
        config=model,
        training=training,
        distillation=distillation,
        encoding=encoding_of(request_tensors),
        pessimism=search.pessimism,
        checkpoints=checkpoints,
        start=start,
    )
    return generator, pd.DataFrame(history)


def load_mined(
    request_tensors: dict[str, Tensor], mining_evaluator: TrainedWeights, shards: LoadedShards
) -> MinedRequests:
    """Returns the mined requests of all shards.

    Raises: ValueError: If the sequences were mined from other requests or by another evaluator.
    """
    if not shards.fingerprint.startswith(mined_from(request_tensors, mining_evaluator.weights)):
        raise ValueError(
            f"{shards.folder} was mined from other request tensors or by another evaluator than those in the "
            "catalog; allowed: sequences of these. Mine again: kedro run --pipeline=mining"
        )
    requests = Requests.from_tensors(request_tensors)
    mined = (shards.concat(name) for name in ("sequences", "values", "step_values"))
    return MinedRequests.of(requests.select(shards.concat("row")), *mined)
