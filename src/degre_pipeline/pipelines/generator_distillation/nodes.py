"""Distils mined lookahead sequences into the Online Generator."""

from dataclasses import asdict
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from degre_pipeline.datasets.shards import LoadedShards
from degre_pipeline.reranker.batching import SPLITS, Requests
from degre_pipeline.reranker.checkpoints import Checkpoints, identity_of
from degre_pipeline.reranker.configs import (
    DistillationConfig,
    GeneratorConfig,
    TrainedWeights,
    TrainingConfig,
)
from degre_pipeline.reranker.features import FeatureSpace
from degre_pipeline.reranker.fingerprints import encoding_of, fingerprint, mined_from
from degre_pipeline.reranker.models.builders import start_from_evaluator, store
from degre_pipeline.reranker.models.generator import OnlineGenerator, build_generator
from degre_pipeline.reranker.objectives import DistillationLoss, MinedRequests, exposed_as_mined
from degre_pipeline.reranker.training import choose_device, fit, seeded


def distill_generator(
    request_tensors: dict[str, Tensor],
    feature_space: dict[str, Any],
    lookahead_sequences: LoadedShards,
    mining_evaluator: TrainedWeights,
    model: GeneratorConfig,
    training: TrainingConfig,
    distillation: DistillationConfig,
    checkpoints: Checkpoints | None = None,
) -> tuple[TrainedWeights, pd.DataFrame]:
    """Returns the generator with the best validation loss on mined sequences, and its training history.

    With a place for checkpoints, an interrupted training is continued and a finished one is not repeated.
    """
    requests = Requests.from_tensors(request_tensors)
    sizes = FeatureSpace.from_dict(feature_space).sizes()
    with seeded(training.seed):
        generator = build_generator(sizes, requests.list_length, model)
    if distillation.warm_start:
        start_from_evaluator(generator, mining_evaluator)
    mined = load_mined(request_tensors, mining_evaluator, lookahead_sequences)
    learn, check = (_of_split(mined, split) for split in ("train", "validation"))
    identity = identity_of(
        training,
        choose_device(training.device),
        {
            "model": asdict(model),
            "distillation": asdict(distillation),
            "feature_space": encoding_of(request_tensors),
            "mining_evaluator": fingerprint(mining_evaluator.weights),
        },
        learn.to_tensors(),
        check.to_tensors(),
    )
    history = fit(
        generator,
        DistillationLoss(distillation),
        exposed_as_mined(learn.requests) if distillation.teacher == "exposed" else learn,
        exposed_as_mined(check.requests) if distillation.teacher == "exposed" else check,
        training,
        label="generator",
        checkpoint=checkpoints.of("generator", identity) if checkpoints else None,
        measure=lambda trained: agreement_with_teacher(trained, check, training),
    )
    trained_weights = store(generator, sizes, requests.list_length, model, encoding_of(request_tensors))
    return trained_weights, pd.DataFrame(history)


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
    return MinedRequests(requests.select(shards.concat("row")), *mined)


def _of_split(mined: MinedRequests, split: str) -> MinedRequests:
    return mined.select((mined.requests.split == SPLITS.index(split)).nonzero()[:, 0])


@torch.no_grad()
def agreement_with_teacher(
    generator: nn.Module, mined: MinedRequests, training: TrainingConfig, most: int = 2000
) -> dict[str, float]:
    """Returns how often the greedy list is the best mined one: whole, as a set, and in its first item."""
    assert isinstance(generator, OnlineGenerator)
    device = choose_device(training.device)
    some = mined.select(slice(0, most))
    best = some.sequences[:, 0].long()
    requests = some.requests
    greedy = torch.cat(
        [
            generator.greedy_decode(*(t.to(device) for t in (part.static, part.candidates, part.mask)))[
                0
            ].cpu()
            for part in requests.batches(training.batch_size)
        ]
    )
    return {
        "same_list": float((greedy == best).all(1).float().mean()),
        "same_items": float((greedy.sort(1).values == best.sort(1).values).all(1).float().mean()),
        "same_first_item": float((greedy[:, 0] == best[:, 0]).float().mean()),
    }
