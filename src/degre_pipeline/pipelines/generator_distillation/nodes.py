"""Distils mined lookahead sequences into the Online Generator."""

from typing import Any

import pandas as pd

from degre_pipeline.datasets.shards import LoadedShards
from degre_pipeline.judging.log_support import figures_of, varies
from degre_pipeline.judging.logged_clicks import users_of
from degre_pipeline.reranker.distillation import distill
from degre_pipeline.reranker.features import FeatureSpace
from degre_pipeline.reranker.fingerprints import mined_from
from degre_pipeline.reranker.lookahead_mining import mine, prepare_miner, rows_not_learned
from degre_pipeline.reranker.mined_requests import MinedRequests
from degre_pipeline.reranker.models.stored_models import FROM_NOTHING, TrainedWeights
from degre_pipeline.reranker.replay import check_borne_out
from degre_pipeline.reranker.requests import Requests
from degre_pipeline.reranker.search.mining_config import MiningConfig
from degre_pipeline.reranker.training.step_configs import GeneratorDistillationConfig
from degre_pipeline.reranker.training.training_state import Checkpoints


def gather_mined(
    encoded: Requests,
    lookahead_sequences: LoadedShards,
    mining_evaluator: TrainedWeights,
    lists: pd.DataFrame,
    log_support: list[dict[str, Any]],
    config: GeneratorDistillationConfig,
    search: MiningConfig,
) -> MinedRequests:
    """Returns the mined requests that the generator may learn from.

    Raises: ValueError: If the sequences were mined from other requests or by another evaluator, or if slots
        follow the score and logged clicks do not speak for lists of this search.
    """
    mined = load_mined(encoded, mining_evaluator, lookahead_sequences)
    asks_clicks = config.distillation.teacher == "mined" and not config.distillation.despite_log
    if asks_clicks and not varies(figures_of(log_support)):
        _check_borne_out(encoded, lists, mining_evaluator, search)
    return mined


def distill_generator(
    mined: MinedRequests,
    feature_space: FeatureSpace,
    mining_evaluator: TrainedWeights,
    config: GeneratorDistillationConfig,
    checkpoints: Checkpoints | None = None,
    start: TrainedWeights = FROM_NOTHING,
) -> tuple[TrainedWeights, pd.DataFrame]:
    """Returns the generator with the best validation loss on mined sequences, and its training history.

    With a place for checkpoints, an interrupted training is continued and a finished one is not repeated.
    """
    generator, history = distill(
        mined.of_split("train"),
        mined.of_split("validation"),
        mining_evaluator,
        sizes=feature_space.sizes(),
        config=config.model,
        training=config.training,
        distillation=config.distillation,
        encoding=mined.requests.encoding,
        checkpoints=checkpoints,
        start=start,
    )
    return generator, pd.DataFrame(history)


def load_mined(encoded: Requests, mining_evaluator: TrainedWeights, shards: LoadedShards) -> MinedRequests:
    """Returns the mined requests of all shards.

    Raises: ValueError: If the sequences were mined from other requests or by another evaluator.
    """
    if not shards.fingerprint.startswith(mined_from(encoded, mining_evaluator.weights)):
        raise ValueError(
            f"{shards.folder} was mined from other request tensors or by another evaluator than those in the "
            "catalog; allowed: sequences of these. Mine again: kedro run --pipeline=mining"
        )
    mined = (shards.concat(name) for name in ("sequences", "values", "step_values"))
    return MinedRequests.of(encoded.select(shards.concat("row")), *mined)


def _check_borne_out(
    requests: Requests, lists: pd.DataFrame, mining_evaluator: TrainedWeights, search: MiningConfig
) -> None:
    rows = rows_not_learned(requests)
    miner = prepare_miner(mining_evaluator, requests, search, len(rows))
    found = mine(miner, requests, rows, search, label="best lists of requests not learned from")
    asked = requests.select(rows)
    check_borne_out(found["sequences"][:, 0].long(), asked, users_of(lists, asked))
