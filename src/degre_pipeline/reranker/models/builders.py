"""Turns models into storable weights and back; what is stored says all that is needed to rebuild it."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

from torch import nn

from degre_pipeline.reranker.checked_settings import require
from degre_pipeline.reranker.models.appeal import AppealEvaluator, AssumedExamination
from degre_pipeline.reranker.models.company import (
    CompanyEvaluator,
    LeavingCompanyEvaluator,
    PageCompanyEvaluator,
    SumsOfCompany,
)
from degre_pipeline.reranker.models.discriminator import Discriminator
from degre_pipeline.reranker.models.evaluator import LookaheadEvaluator
from degre_pipeline.reranker.models.feature_layer import build_feature_layer
from degre_pipeline.reranker.models.hindsight import HindsightEvaluator
from degre_pipeline.reranker.models.model_config import ADDITIVE_HEADS, LEFT_OPEN, EvaluatorConfig
from degre_pipeline.reranker.models.offsets import ValueOffsets
from degre_pipeline.reranker.models.slot_clicks import SlotClickEvaluator
from degre_pipeline.reranker.models.survival import SurvivalEvaluator
from degre_pipeline.reranker.models.transformer import SlotEmbedding, TransformerLayer
from degre_pipeline.reranker.schema import RANKING_SCORE, FieldSize, additive_fields

M = TypeVar("M", bound=nn.Module)


def build_evaluator(
    sizes: Sequence[FieldSize], list_length: int, config: EvaluatorConfig
) -> LookaheadEvaluator:
    """Builds the evaluator that a configuration describes, for the fitted sizes of the fields.

    Raises: ValueError: If its head has yet to be chosen; see `head_choice.train_by_data`.
    """
    require(config.head not in LEFT_OPEN, "head", config.head, "what `head_choice.train_by_data` takes")
    if config.head == "appeal":
        return _build_appeal(sizes, list_length, config)
    additive = additive_fields(sizes)
    offsets = None
    if additive and config.head in ADDITIVE_HEADS:
        offsets = ValueOffsets(sizes, additive, config.additive_factors)
    if config.head in _OF_COMPANY:
        return _build_company(sizes, list_length, config, offsets)
    kind = _KINDS.get(config.head, LookaheadEvaluator)
    columns = _COLUMNS.get(config.head, list_length)
    features = build_feature_layer(sizes, config, left_out=additive)
    layers = [
        TransformerLayer(config.width, config.heads, config.feedforward, config.dropout)
        for _ in range(config.layers)
    ]
    head = _head(config.width, columns)
    return kind(
        features,
        SlotEmbedding(list_length, config.position_dim, config.width),
        layers,
        head,
        list_length=list_length,
        columns=columns,
        monotone=config.head == "monotone",
        offsets=offsets,
    )


_KINDS: Mapping[str, type[LookaheadEvaluator]] = {
    "slot_clicks": SlotClickEvaluator,
    "hindsight": HindsightEvaluator,
    "survival": SurvivalEvaluator,
}
_COLUMNS = {"slot_clicks": 1, "survival": 2, "company": 1, "leaving_company": 2, "discriminator": 1}
"""Columns of a head's logits where they are not the slots of a list."""


_OF_COMPANY: Mapping[str, type[SumsOfCompany]] = {
    "company": CompanyEvaluator,
    "page_company": PageCompanyEvaluator,
    "leaving_company": LeavingCompanyEvaluator,
    "discriminator": Discriminator,
}


def _build_company(
    sizes: Sequence[FieldSize], list_length: int, config: EvaluatorConfig, offsets: ValueOffsets | None
) -> SumsOfCompany:
    kind, columns = _OF_COMPANY[config.head], _COLUMNS.get(config.head, list_length)
    of_an_item = 2 if config.head == "leaving_company" else 1
    given = (kind.parts_of_an_item * of_an_item + 1) * config.company_channels
    return kind(
        build_feature_layer(sizes, config, left_out=additive_fields(sizes)),
        SlotEmbedding(list_length, config.position_dim, of_an_item),
        _head(config.width, of_an_item),
        _head(config.width, given),
        list_length=list_length,
        columns=columns,
        channels=config.company_channels,
        offsets=offsets,
    )


def _build_appeal(sizes: Sequence[FieldSize], list_length: int, config: EvaluatorConfig) -> AppealEvaluator:
    column, indices = _ranking_score(sizes)
    return AppealEvaluator(
        build_feature_layer(sizes, config, left_out=additive_fields(sizes)),
        AssumedExamination(list_length, config.examination_decay),
        _head(config.width, 1),
        list_length=list_length,
        score_column=column,
        score_indices=indices,
    )


def _head(width: int, columns: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, columns))


def _ranking_score(sizes: Sequence[FieldSize]) -> tuple[int | None, int]:
    """Returns the candidates' index column of the ranking score, and its indices; None and 0 for none."""
    column = 0
    for size in sizes:
        if size.name == RANKING_SCORE and size.kind == "numeric":
            return column, size.indices
        column += size.columns if size.per_candidate else 0
    return None, 0
