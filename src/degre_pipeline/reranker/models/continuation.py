"""Lets a model start from the weights of an earlier one whose vocabularies were smaller."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict

import torch
from torch import Tensor, nn

from degre_pipeline.reranker.models.evaluator import LookaheadEvaluator
from degre_pipeline.reranker.models.model_config import EvaluatorConfig, GeneratorConfig
from degre_pipeline.reranker.models.stored_models import (
    EMBEDDINGS,
    TrainedWeights,
    embedding_rows,
    sizes_of,
)
from degre_pipeline.reranker.schema import FieldSize, additive_fields

logger = logging.getLogger(__name__)

MAY_DIFFER = ("dropout", "id_dropout", "beam_size", "in_one", "pessimism")
"""Settings of a model that its weights do not depend on."""
OFFSETS = "offsets."
"""Begins the names of the tables of an evaluator's offsets, each of one field."""


def usable(
    earlier: TrainedWeights,
    sizes: Sequence[FieldSize],
    list_length: int,
    config: EvaluatorConfig | GeneratorConfig,
    *,
    name: str,
) -> bool:
    """Returns whether a model can start from earlier weights; says why where there are some and it cannot.

    Args:
        earlier: What was stored of the earlier model, or nothing.
        sizes: Of the fitted fields, now.
        list_length: Slots of a list, L, now.
        config: Of the model, now.
        name: Of the model, for the message.
    """
    reason = _difference(earlier, sizes, list_length, config) if earlier.weights else ""
    if reason:
        logger.warning("%s starts anew, not from the champion's weights: %s", name, reason)
    return bool(earlier.weights) and not reason


def _difference(
    earlier: TrainedWeights,
    sizes: Sequence[FieldSize],
    list_length: int,
    config: EvaluatorConfig | GeneratorConfig,
) -> str:
    """Returns what differs, in words; empty where nothing does that matters."""
    before, now = (
        {name: value for name, value in asdict(one).items() if name not in MAY_DIFFER}
        for one in (type(config)(**earlier.config["settings"]), config)
    )
    if before != now:
        changed = sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
        return "; ".join(f"{name} is {now.get(name)!r}, was {before.get(name)!r}" for name in changed)
    if earlier.config["list_length"] != list_length:
        return f"list_length is {list_length}, was {earlier.config['list_length']}"
    was = sizes_of(earlier)
    if [_kind(size) for size in was] != [_kind(size) for size in sizes]:
        return f"fields are {[size.name for size in sizes]}, were {[size.name for size in was]}"
    shrunk = [new.name for old, new in zip(was, sizes, strict=True) if new.indices < old.indices]
    return f"vocabularies of {shrunk} lost values" if shrunk else ""


def continue_from(
    model: nn.Module, learned: Mapping[str, Tensor], was: Sequence[FieldSize], sizes: Sequence[FieldSize]
) -> None:
    """Copies earlier weights into a model, in place; embeddings of values that are new keep their own.

    Args:
        model: Built for the fields as they are now.
        learned: Weights of the earlier model, or of one member of it.
        was: Sizes of its fields, which were the same and no larger; see `usable`.
        sizes: Sizes of the fields now.
    """
    own = model.state_dict()
    left_out = additive_fields(sizes) if isinstance(model, LookaheadEvaluator) else []
    learned = {
        **learned,
        **{name: _longer(learned[name], own[name]) for name in own if name.startswith(OFFSETS)},
    }
    for table, per_candidate in EMBEDDINGS.items():
        if table in own:
            old, new = (embedding_rows(some, per_candidate, left_out) for some in (was, sizes))
            learned = {**learned, table: _grown(learned[table], own[table], old, new)}
    model.load_state_dict(dict(learned))


def _grown(learned: Tensor, fresh: Tensor, was: Sequence[int], now: Sequence[int]) -> Tensor:
    """Returns a table's rows, field by field: the learned ones, then the fresh ones of new values."""
    parts = zip(learned.split(list(was)), fresh.split(list(now)), strict=True)
    return torch.cat([_longer(old, new) for old, new in parts])


def _longer(learned: Tensor, fresh: Tensor) -> Tensor:
    """Returns the learned rows, then the fresh ones beyond them."""
    return torch.cat([learned, fresh[len(learned) :]])


def _kind(size: FieldSize) -> tuple[object, ...]:
    return size.name, size.kind, size.group, size.columns, size.additive
