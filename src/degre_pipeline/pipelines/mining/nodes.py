"""Mines lookahead sequences with the mining evaluator, shard by shard."""

from degre_pipeline.datasets.shards import Shards
from degre_pipeline.reranker.fingerprints import check_encoding, mined_from
from degre_pipeline.reranker.lookahead_mining import mine, prepare_miner, rows_to_mine
from degre_pipeline.reranker.models.stored_models import TrainedWeights
from degre_pipeline.reranker.requests import Requests
from degre_pipeline.reranker.search.mining_config import MiningConfig


def mine_lookahead_sequences(
    encoded: Requests, mining_evaluator: TrainedWeights, config: MiningConfig
) -> Shards:
    """Returns the mining of training and validation requests, cut into shards that are made when saved.

    A shard holds `row` (into the request tensors), `sequences`, `values` and `step_values`. Its fingerprint
    covers the requests, the evaluator and the settings, so a rerun after an interruption continues and a
    rerun with anything changed starts anew.
    """
    check_encoding(mining_evaluator, encoded.encoding)
    rows = rows_to_mine(encoded, config)
    evaluator = prepare_miner(mining_evaluator, encoded, config, len(rows))
    parts = {f"part-{number:05d}": part for number, part in enumerate(rows.split(config.shard_size))}
    return Shards(
        fingerprint=f"{mined_from(encoded, mining_evaluator.weights)}-{config}",
        names=tuple(parts),
        make=lambda name: mine(evaluator, encoded, parts[name], config),
    )
